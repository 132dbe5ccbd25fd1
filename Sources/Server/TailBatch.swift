import NIOCore
import Wire

/// What one or more tails get to see: what they ask for, within what they may read. One object for
/// all tails of an event loop that see the same, so that their lines are picked out once.
final class TailView {
    struct Key: Hashable {
        var filter: TailFilter
        var rights: TailFilter
    }

    let key: Key
    /// Tails that have it.
    var users = 0
    private let isOpen: Bool
    /// The shipments or containers that a line has to be about; nil: about anything.
    let subjects: Set<String>?

    /// With more subjects than this a line's own subject is looked up among them instead.
    private static let manySubjects = 64

    init(_ key: Key) {
        self.key = key
        isOpen = key.filter.isOpen && key.rights.isOpen
        let wanted = [key.filter.shipments, key.filter.containers, key.rights.shipments]
            .first { !$0.isEmpty }
        subjects = wanted.flatMap { $0.count > TailView.manySubjects ? nil : $0 }
    }

    func shows(_ line: OutputLine) -> Bool {
        isOpen || line.kind == "gap" || key.rights.matches(line) && key.filter.matches(line)
    }
}

/// Lines of the output that follow `after`, read once for all tails that stand there.
final class TailBatch {
    let after: Int
    let last: Int
    private let lines: [OutputLine]
    /// No number is missing: nothing has to be said to those whom no line concerns.
    private let isWhole: Bool
    /// Which lines are about a shipment or a container; made for the first who asks.
    private lazy var about = index()
    /// The views are held as long, so that none takes the place of another.
    private var texts: [ObjectIdentifier: (view: TailView, text: ByteBuffer)] = [:]

    /// Views whose text is kept while others may ask for the same.
    private static let textsKept = 32

    /// `lines` are not empty.
    init(after: Int, _ lines: [OutputLine]) {
        self.after = after
        self.lines = lines
        last = lines.last?.seq ?? after
        isWhole = last - after == lines.count && !lines.contains { $0.kind == "gap" }
    }

    /// The bytes that a view shows of it; nil: none.
    func text(_ view: TailView, _ allocator: ByteBufferAllocator) -> ByteBuffer? {
        if let known = texts[ObjectIdentifier(view)]?.text {
            return known.readableBytes > 0 ? known : nil
        }
        let made = make(view, allocator)
        if view.users > 1, texts.count < TailBatch.textsKept {
            texts[ObjectIdentifier(view)] = (view, made)
        }
        return made.readableBytes > 0 ? made : nil
    }

    private func make(_ view: TailView, _ allocator: ByteBufferAllocator) -> ByteBuffer {
        if isWhole, let subjects = view.subjects {
            let found =
                subjects.count == 1 ? about[subjects.first ?? ""] ?? [] : places(of: subjects)
            guard !found.isEmpty else { return ByteBuffer() }
            var buffer = allocator.buffer(capacity: found.count * 480)
            for at in found where view.shows(lines[at]) { add(lines[at], &buffer) }
            return buffer
        }
        var buffer = allocator.buffer(capacity: lines.count * 480)
        var reached = after
        for line in lines {
            if line.seq > reached + 1 {
                // Numbers that are not there, for whatever reason: never a silent skip.
                var out = JSONWriter()
                TailControl.gap(from: reached + 1, to: line.seq - 1, to: &out)
                buffer.writeBytes(out.bytes)
            }
            reached = line.seq
            if view.shows(line) { add(line, &buffer) }
        }
        return buffer
    }

    private func add(_ line: OutputLine, _ buffer: inout ByteBuffer) {
        buffer.writeBytes(line.bytes)
        buffer.writeInteger(UInt8(0x0A))
    }

    private func places(of subjects: Set<String>) -> [Int] {
        Set(subjects.flatMap { about[$0] ?? [] }).sorted()
    }

    private func index() -> [String: [Int]] {
        var found: [String: [Int]] = [:]
        for (at, line) in lines.enumerated() {
            if let shipment = line.shipment { found[shipment, default: []].append(at) }
            if let container = line.container, container != line.shipment {
                found[container, default: []].append(at)
            }
        }
        return found
    }
}
