import Tracking

/// What happens when, earliest first; at one instant in the order of the shipments.
struct Agenda {
    private var heap: [(at: Instant, trip: Int)] = []

    private func precedes(_ a: Int, _ b: Int) -> Bool {
        (heap[a].at, heap[a].trip) < (heap[b].at, heap[b].trip)
    }

    mutating func add(_ at: Instant, _ trip: Int) {
        heap.append((at, trip))
        var child = heap.count - 1
        while child > 0, precedes(child, (child - 1) / 2) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func next() -> (at: Instant, trip: Int)? {
        guard let first = heap.first else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && precedes(child, least) { least = child }
            if least == parent { return first }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
