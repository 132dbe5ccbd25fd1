import Tracking

/// When each slot wants to be looked at next: a binary heap with outdated entries left in place and
/// swept out when they outnumber the rest.
struct DueHeap: Sendable {
    private struct Entry: Sendable {
        var due: Instant
        var slot: Int32
    }

    private var entries: [Entry] = []
    /// The entry of each slot that counts; `.never`: none.
    private var scheduled: [Instant] = []
    private var live = 0

    /// The earliest time that counts.
    var next: Instant {
        mutating get {
            while let top = entries.first, scheduled[Int(top.slot)] != top.due { removeTop() }
            return entries.first?.due ?? .never
        }
    }

    mutating func schedule(_ slot: Int, at due: Instant) {
        while scheduled.count <= slot { scheduled.append(.never) }
        let old = scheduled[slot]
        guard old != due else { return }
        scheduled[slot] = due
        live += (old == .never ? 1 : 0) - (due == .never ? 1 : 0)
        guard due != .never else { return }
        if entries.count > 2 * live + 1_024 { return rebuild() }
        entries.append(Entry(due: due, slot: Int32(slot)))
        siftUp(entries.count - 1)
    }

    /// Takes out every slot that is due at `now`.
    mutating func popDue(_ now: Instant) -> [Int] {
        var found: [Int] = []
        while next <= now, let top = entries.first {
            found.append(Int(top.slot))
            scheduled[Int(top.slot)] = .never
            live -= 1
            removeTop()
        }
        return found
    }

    private mutating func rebuild() {
        entries = scheduled.enumerated().compactMap {
            $0.element == .never ? nil : Entry(due: $0.element, slot: Int32($0.offset))
        }
        var index = entries.count / 2
        while index > 0 {
            index -= 1
            siftDown(index)
        }
    }

    private mutating func removeTop() {
        let last = entries.removeLast()
        if entries.isEmpty { return }
        entries[0] = last
        siftDown(0)
    }

    private mutating func siftUp(_ start: Int) {
        var index = start
        while index > 0 {
            let parent = (index - 1) / 2
            if entries[parent].due <= entries[index].due { return }
            entries.swapAt(parent, index)
            index = parent
        }
    }

    private mutating func siftDown(_ start: Int) {
        var index = start
        while true {
            var least = index
            let left = 2 * index + 1
            if left < entries.count, entries[left].due < entries[least].due { least = left }
            if left + 1 < entries.count, entries[left + 1].due < entries[least].due {
                least = left + 1
            }
            if least == index { return }
            entries.swapAt(least, index)
            index = least
        }
    }
}
