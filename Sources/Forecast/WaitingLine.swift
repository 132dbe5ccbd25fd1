import Tracking

/// When each of those that wait began to, ascending. Most come at the end and leave near the front,
/// so whichever side is shorter moves.
struct WaitingLine: Sendable {
    /// In order from `head` on; what lies before it is room.
    private var items: [Instant] = []
    private var head = 0

    var count: Int { items.count - head }

    subscript(index: Int) -> Instant { items[head + index] }

    /// How many began before `start`.
    func rank(_ start: Instant) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if self[middle] < start { low = middle + 1 } else { high = middle }
        }
        return low
    }

    mutating func insert(_ start: Instant) {
        let at = rank(start)
        guard head > 0, at < count / 2 else { return items.insert(start, at: head + at) }
        head -= 1
        for index in 0..<at { items[head + index] = items[head + index + 1] }
        items[head + at] = start
    }

    mutating func remove(_ start: Instant) {
        let at = rank(start)
        guard at < count, self[at] == start else { return }
        guard at < count / 2 else {
            items.remove(at: head + at)
            return
        }
        for index in stride(from: head + at, to: head, by: -1) { items[index] = items[index - 1] }
        head += 1
        if head > 64, head > items.count / 2 {
            items.removeFirst(head)
            head = 0
        }
    }
}

extension WaitingLine: Equatable {
    static func == (a: WaitingLine, b: WaitingLine) -> Bool {
        a.items[a.head...].elementsEqual(b.items[b.head...])
    }
}
