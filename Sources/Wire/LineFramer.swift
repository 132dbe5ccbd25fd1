import Tracking

/// Cuts a byte stream into lines. A line over the limit is dropped up to its LF and reported once,
/// by its head, length and hash.
public struct LineFramer: Sendable {
    public enum Framed {
        /// The bytes without LF and CR; valid during the call only.
        case line(UnsafeBufferPointer<UInt8>)
        case tooLong(head: [UInt8], length: Int, hash: UInt64)
    }

    public let maxLine: Int
    /// Bytes of a dropped line that are kept.
    public static let headBytes = 256

    /// The begun line that has no end yet.
    public private(set) var pending: [UInt8] = []
    private var dropping = false
    private var droppedLength = 0
    private var droppedHash = StableHasher()
    private var droppedHead: [UInt8] = []

    public init(maxLine: Int) { self.maxLine = maxLine }

    /// True where a line has begun and not ended.
    public var isMidLine: Bool { dropping || !pending.isEmpty }

    /// Takes bytes in and hands each complete line out, in order.
    public mutating func feed(
        _ bytes: UnsafeBufferPointer<UInt8>, _ each: (Framed) -> Void
    ) {
        var rest = bytes[...]
        while let newline = rest.firstIndex(of: 0x0A) {
            let part = UnsafeBufferPointer(rebasing: rest[..<newline])
            rest = rest[(newline + 1)...]
            end(part, each)
        }
        hold(UnsafeBufferPointer(rebasing: rest))
    }

    /// The stream has ended: a last line without LF counts as one.
    public mutating func finish(_ each: (Framed) -> Void) {
        if isMidLine { end(UnsafeBufferPointer(start: nil, count: 0), each) }
    }

    private mutating func end(
        _ part: UnsafeBufferPointer<UInt8>, _ each: (Framed) -> Void
    ) {
        if dropping {
            drop(part)
            each(
                .tooLong(
                    head: droppedHead, length: droppedLength,
                    hash: droppedHash.identity().low))
            dropping = false
            return
        }
        if pending.isEmpty {
            emit(part, each)
        } else {
            pending.append(contentsOf: part)
            let line = pending
            pending.removeAll(keepingCapacity: line.count < 4_096)
            line.withUnsafeBufferPointer { emit($0, each) }
        }
    }

    private mutating func emit(
        _ line: UnsafeBufferPointer<UInt8>, _ each: (Framed) -> Void
    ) {
        var line = line
        if line.last == 0x0D { line = UnsafeBufferPointer(rebasing: line.dropLast()) }
        if line.count <= maxLine { return each(.line(line)) }
        begin()
        drop(line)
        each(.tooLong(head: droppedHead, length: droppedLength, hash: droppedHash.identity().low))
        dropping = false
    }

    private mutating func hold(_ part: UnsafeBufferPointer<UInt8>) {
        if part.isEmpty { return }
        if dropping { return drop(part) }
        // One more than the limit may still be a CR.
        if pending.count + part.count <= maxLine + 1 {
            pending.append(contentsOf: part)
            return
        }
        begin()
        pending.withUnsafeBufferPointer { drop($0) }
        pending = []
        drop(part)
    }

    private mutating func begin() {
        dropping = true
        droppedLength = 0
        droppedHash = StableHasher()
        droppedHead = []
    }

    private mutating func drop(_ part: UnsafeBufferPointer<UInt8>) {
        droppedLength += part.count
        let room = LineFramer.headBytes - droppedHead.count
        if room > 0 { droppedHead.append(contentsOf: part.prefix(room)) }
        for byte in part { droppedHash.combine(UInt64(byte)) }
    }
}
