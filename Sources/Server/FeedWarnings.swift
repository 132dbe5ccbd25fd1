import Engine
import NIOConcurrencyHelpers
import NIOCore
import Tracking
import Wire

/// What one connection has been warned of: each assumption once, and so many at the most.
struct FeedWarnings {
    /// Warnings that one connection gets.
    static let limit = 100

    private struct Key: Hashable {
        let code: LineNote.Code
        let assumed: String
    }

    private var told: Set<Key> = []

    /// Writes those that are news.
    mutating func write(_ warnings: [LineWarning], to out: inout [UInt8]) {
        for warning in warnings {
            guard told.count < FeedWarnings.limit else { return }
            let key = Key(code: warning.note.code, assumed: warning.note.assumed)
            guard told.insert(key).inserted else { continue }
            var line = JSONWriter()
            Reply.warn(warning.line, warning.note, to: &line)
            out += line.bytes
        }
    }
}

/// To which container a sender gave an id within the last hour: a slip of the finger in the number is
/// mended under the same id. For replies only; one that is crowded out is forgotten.
final class IDMemory: Sendable {
    private struct Slot {
        var key: UInt64 = 0
        var container: UInt64 = 0
        var minute: Int32 = .min
    }

    private static let minutes: Int32 = 60

    private let slots: NIOLockedValueBox<[Slot]>
    private let mask: UInt64
    private let isOff: Bool

    /// `capacity`: ids that are remembered; 0: none.
    init(capacity: Int) {
        var size = 1
        while size < capacity { size *= 2 }
        mask = UInt64(size - 1)
        isOff = capacity <= 0
        slots = NIOLockedValueBox(capacity > 0 ? Array(repeating: Slot(), count: size) : [])
    }

    /// An id that a line gives to a container, until it is known what became of the line.
    struct Given {
        let line: Int
        let id: String
        fileprivate let key: UInt64
        fileprivate let container: ContainerNumber
        fileprivate let isMoved: Bool
    }

    /// The ids that a chunk gives to containers.
    func given(by chunk: FeedChunk, sender: String) -> [Given] {
        if isOff { return [] }
        var found: [Given] = []
        for line in chunk.lines {
            guard case .event(let event) = line.value, let id = event.id, !event.retract else {
                continue
            }
            let key = Identity.owned(event.identity, post: sender, source: event.source).low
            found.append(
                Given(
                    line: line.number, id: id, key: key, container: event.container,
                    isMoved: event.was != nil))
        }
        return found
    }

    /// Remembers those that stand; returns what their sender should hear of.
    func remember(
        _ given: ArraySlice<Given>, without idle: [Int], now: NIODeadline = .now()
    ) -> [LineWarning] {
        let minute = Int32(truncatingIfNeeded: now.uptimeNanoseconds / 60_000_000_000)
        let idle = Set(idle)
        return slots.withLockedValue { slots in
            var found: [LineWarning] = []
            for each in given where !idle.contains(each.line) {
                let at = Int(each.key & mask)
                let known = slots[at]
                slots[at] = Slot(
                    key: each.key, container: each.container.packed, minute: minute)
                guard known.key == each.key, known.container != each.container.packed,
                    minute - known.minute < IDMemory.minutes, !each.isMoved
                else { continue }
                let other = ContainerNumber(packed: known.container)
                found.append(
                    LineWarning(line: each.line, note: IDMemory.note(each.id, other)))
            }
            return found
        }
    }

    private static func note(
        _ id: String, _ other: ContainerNumber
    ) -> LineNote {
        LineNote(
            .idElsewhere, field: "id", assumed: id,
            detail: "id \(id) was given to \(other) within the hour, and both events stand; where "
                + "\(other) was a slip, send this line again with \"was\":\"\(other)\" and updated")
    }
}
