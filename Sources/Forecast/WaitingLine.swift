import Tracking

/// When each of those that wait began to, ascending. In blocks, so that one that comes or leaves
/// moves a few hundred others at most, however many wait.
struct WaitingLine: Sendable {
    /// Each ascending, none empty, and all of one before all of the next.
    private var blocks: [[Instant]] = []
    private(set) var count = 0

    /// Entries of a block; one that is full is cut in two.
    static let blockLimit = 256

    subscript(index: Int) -> Instant {
        var rest = index
        for block in blocks {
            if rest < block.count { return block[rest] }
            rest -= block.count
        }
        preconditionFailure("\(index) of \(count)")
    }

    /// How many began before `start`.
    func rank(_ start: Instant) -> Int {
        let at = block(start)
        var before = 0
        for block in blocks[..<at] { before += block.count }
        return at < blocks.count ? before + blocks[at].rank(start) : before
    }

    /// The first block that does not end before `start`; behind the last where all do.
    private func block(_ start: Instant) -> Int {
        blocks.firstIndex(notBefore: { $0[$0.count - 1] < start })
    }

    mutating func insert(_ start: Instant) {
        count += 1
        guard !blocks.isEmpty else {
            blocks.append([start])
            return
        }
        let at = min(block(start), blocks.count - 1)
        blocks[at].insert(start, at: blocks[at].rank(start))
        guard blocks[at].count > WaitingLine.blockLimit else { return }
        let half = Array(blocks[at][(WaitingLine.blockLimit / 2)...])
        blocks[at].removeLast(half.count)
        blocks.insert(half, at: at + 1)
    }

    mutating func remove(_ start: Instant) {
        let at = block(start)
        guard at < blocks.count else { return }
        let index = blocks[at].rank(start)
        guard blocks[at][index] == start else { return }
        count -= 1
        blocks[at].remove(at: index)
        // What has become small joins what comes before it, so that there are never many.
        let small = WaitingLine.blockLimit / 4
        if at > 0, blocks[at].count <= small, blocks[at - 1].count <= small {
            blocks[at - 1] += blocks[at]
            blocks.remove(at: at)
        } else if blocks[at].isEmpty {
            blocks.remove(at: at)
        }
    }
}

extension WaitingLine: Equatable {
    /// Who waits, not how the blocks are cut.
    static func == (a: WaitingLine, b: WaitingLine) -> Bool {
        a.count == b.count && a.blocks.joined().elementsEqual(b.blocks.joined())
    }
}
