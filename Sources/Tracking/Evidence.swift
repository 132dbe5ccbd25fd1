/// Which of a box's reports can be true together.
enum Evidence {
    /// Of the last so many reports the longest sequence is looked for; what lies before them stands as it
    /// follows.
    static let window = 32

    /// Whether a box can be where one report has it after having been where another has it.
    @inline(__always)
    static func follows(
        _ a: ReadEvent, _ b: ReadEvent, _ events: [EventRecord], _ geography: Geography
    ) -> Bool {
        let (from, to) = (events[a.index], events[b.index])
        if from.place == to.place { return true }
        let isVague = from.flags.isVague || to.flags.isVague
        return geography.canReach(
            from.place, to.place,
            minutes: b.time.minutes(since: a.time)
                + (isVague ? Geography.vagueMinutes : Geography.slackMinutes),
            byAir: from.mode == .air || to.mode == .air)
    }

    /// The longest sequence of reports in which each can be reached from the one before, of equals the
    /// earlier: for each report whether it is in it.
    static func longest(
        _ reads: [ReadEvent], _ events: [EventRecord], _ geography: Geography
    ) -> [Bool] {
        var isIn = [Bool](repeating: false, count: reads.count)
        let first = max(0, reads.count - window)
        var last: Int?
        for at in 0..<first
        where last.map({ follows(reads[$0], reads[at], events, geography) }) ?? true {
            isIn[at] = true
            last = at
        }
        var length = [Int](repeating: 1, count: reads.count)
        var before = [Int](repeating: -1, count: reads.count)
        var end = -1
        for at in first..<reads.count {
            for earlier in first..<at
            where length[earlier] + 1 > length[at]
                && follows(reads[earlier], reads[at], events, geography)
            {
                length[at] = length[earlier] + 1
                before[at] = earlier
            }
            if end < 0 || length[at] > length[end] { end = at }
        }
        while end >= 0 {
            isIn[end] = true
            end = before[end]
        }
        return isIn
    }
}
