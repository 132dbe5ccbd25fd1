/// A set of slots: whether one is in it is a look at an array.
struct SlotSet: Sendable {
    /// In the order in which they came.
    private(set) var slots: [Int32] = []
    private var isIn: [Bool] = []

    var count: Int { slots.count }

    func contains(_ slot: Int) -> Bool { slot < isIn.count && isIn[slot] }

    mutating func insert(_ slot: Int) {
        while isIn.count <= slot { isIn.append(false) }
        if isIn[slot] { return }
        isIn[slot] = true
        slots.append(Int32(slot))
    }

    mutating func removeAll() {
        for slot in slots { isIn[Int(slot)] = false }
        slots = []
    }
}
