import Forecast
import Testing
import Tracking
import Wire

@testable import Engine

@Suite struct PoolCodingTests {
    private let key = PoolKey(
        level: .place, kind: .dwell, mode: .rail, fromCode: .arri, toCode: .gtot, fromPlace: 1,
        toPlace: 1)
    private let texts = ["", "KZHOR"]

    /// A pool of the version before this one knew no shares of the plan: three figures instead of
    /// four for each class of lead.
    @Test func poolsOfTheVersionBeforeAreRead() throws {
        let pool = Pool()
        let bytes = PoolCoding.encode(key, pool, Flow(), texts)
        // Version, key, ten figures of nothing, then the memories: no medians.
        var at = 1 + 1 + PoolCoding.key(key, texts).count + 10 + 1
        var older: [UInt8] = [2] + bytes[1..<at]
        for _ in Memories.leadMinutes {
            older += bytes[at..<(at + 12)]
            older.append(bytes[at + 16])
            at += 17
        }
        older += bytes[at...]
        #expect(older.count == bytes.count - 4 * Memories.leadMinutes.count)
        var symbols = Symbols()
        for bytes in [bytes, older] {
            let read = try PoolCoding.decode(bytes, &symbols)
            #expect(read.1.memories == pool.memories && read.1.values.isEmpty)
            #expect(read.0.level == .place && symbols[read.0.toPlace] == "KZHOR")
        }
        #expect(throws: CodingFlaw.self) { try PoolCoding.decode([1] + bytes[1...], &symbols) }
    }
}
