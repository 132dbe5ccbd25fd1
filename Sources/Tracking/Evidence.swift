/// Which of a box's reports can be true together.
enum Evidence {
    /// Of the last so many reports the longest sequence is looked for; what lies before them stands as it
    /// follows.
    static let window = 32

    /// Papers are stamped where the box is not: they say nothing of where it can be.
    @inline(__always)
    static func isSign(_ code: EventCode) -> Bool {
        switch code {
        case .cuss, .cusi, .cusr: false
        default: true
        }
    }

    /// Whether a report tells where in the world the box is: of a place that nobody knows it does not, and what lies
    /// before and behind it has to go together all the same, unless it flew.
    @inline(__always)
    static func isPlaced(_ event: EventRecord, _ geography: Geography) -> Bool {
        isSign(event.code) && (geography.place(event.place) != nil || event.mode == .air)
    }

    /// Whether a box can be where one report has it after having been where another has it.
    @inline(__always)
    static func follows(
        _ a: ReadEvent, _ b: ReadEvent, _ events: [EventRecord], _ plan: PlanView,
        _ geography: Geography
    ) -> Bool {
        let (from, to) = (events[a.index], events[b.index])
        if from.place == to.place || !isSign(from.code) || !isSign(to.code) { return true }
        let isVague = from.flags.isVague || to.flags.isVague
        let minutes = b.time.minutes(since: a.time)
        let isReached = geography.canReach(
            from.place, to.place,
            minutes: minutes + (isVague ? Geography.vagueMinutes : Geography.skewMinutes),
            byAir: from.mode == .air || to.mode == .air)
        return isReached
            || minutes <= Geography.slackMinutes && isSettled(from.place, to.place, plan, geography)
    }

    /// Whether the plan's own way comes to both places, so that its order holds.
    private static func isSettled(
        _ a: UInt32, _ b: UInt32, _ plan: PlanView, _ geography: Geography
    ) -> Bool {
        func stay(_ place: UInt32) -> Int? {
            var stays = 0
            var last: UInt32 = 0
            for milestone in plan.way.milestones {
                if milestone.place != last { stays += 1 }
                last = milestone.place
                if geography.areOne(place, last) { return stays }
            }
            return nil
        }
        guard let first = stay(a), let second = stay(b) else { return false }
        // From one to the next, whichever was reported before.
        return abs(first - second) == 1
    }

    /// The longest sequence of reports in which each can be reached from the one before, of equals the
    /// earlier: for each report whether it is in it. Papers are in any.
    static func longest(
        _ reads: [ReadEvent], _ events: [EventRecord], _ plan: PlanView, _ geography: Geography
    ) -> [Bool] {
        let signs = reads.indices.filter { isPlaced(events[reads[$0].index], geography) }
        var isIn = reads.map { !isPlaced(events[$0.index], geography) }
        let first = max(0, signs.count - window)
        func follow(_ a: Int, _ b: Int) -> Bool {
            follows(reads[signs[a]], reads[signs[b]], events, plan, geography)
        }
        var last: Int?
        for at in 0..<first where last.map({ follow($0, at) }) ?? true {
            isIn[signs[at]] = true
            last = at
        }
        var length = [Int](repeating: 1, count: signs.count)
        var before = [Int](repeating: -1, count: signs.count)
        var end = -1
        for at in first..<signs.count {
            for earlier in first..<at
            where length[earlier] + 1 > length[at] && follow(earlier, at) {
                length[at] = length[earlier] + 1
                before[at] = earlier
            }
            if end < 0 || length[at] > length[end] { end = at }
        }
        while end >= 0 {
            isIn[signs[end]] = true
            end = before[end]
        }
        return isIn
    }
}
