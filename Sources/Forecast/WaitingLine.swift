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
        guard let at = block(start) else { return count }
        var before = 0
        for block in blocks[..<at] { before += block.count }
        return before + WaitingLine.rank(start, blocks[at])
    }

    /// The first block that does not end before `start`; nil where all do.
    private func block(_ start: Instant) -> Int? {
        var low = 0
        var high = blocks.count
        while low < high {
            let middle = (low + high) / 2
            if blocks[middle][blocks[middle].count - 1] < start {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low < blocks.count ? low : nil
    }

    private static func rank(_ start: Instant, _ block: [Instant]) -> Int {
        var low = 0
        var high = block.count
        while low < high {
            let middle = (low + high) / 2
            if block[middle] < start { low = middle + 1 } else { high = middle }
        }
        return low
    }

    mutating func insert(_ start: Instant) {
        count += 1
        guard !blocks.isEmpty else {
            blocks.append([start])
            return
        }
        let at = block(start) ?? blocks.count - 1
        blocks[at].insert(start, at: WaitingLine.rank(start, blocks[at]))
        guard blocks[at].count > WaitingLine.blockLimit else { return }
        let half = Array(blocks[at][(WaitingLine.blockLimit / 2)...])
        blocks[at].removeLast(half.count)
        blocks.insert(half, at: at + 1)
    }

    mutating func remove(_ start: Instant) {
        guard let at = block(start) else { return }
        let index = WaitingLine.rank(start, blocks[at])
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
