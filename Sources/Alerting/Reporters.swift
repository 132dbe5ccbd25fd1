import Tracking

/// Who reports, how often, of what, and by what clock.
public struct Reporters: Sendable, Equatable {
    /// A post by its name, or whoever reports of a place without one.
    public struct Key: Hashable, Sendable {
        /// Symbols; 0: none. Of a post that has a name the place is none.
        public var post: UInt32
        public var place: UInt32

        public init(post: UInt32, place: UInt32) {
            self.post = post
            self.place = post == 0 ? place : 0
        }
    }

    /// One report, as it came in.
    public struct Report: Sendable {
        public var place: UInt32
        public var code: EventCode
        public var time: Instant
        public var received: Instant
        /// Its time is known well enough to judge a clock by it, and this is the first that is heard of it.
        public var isTimed: Bool
        /// Somebody else had seen the box elsewhere, and told of it at once, after this is said to have been.
        public var isBefore: Bool
        /// The pause before it was told of as silence: it is no habit.
        public var isAfterSilence = false

        public init(
            place: UInt32, code: EventCode, time: Instant, received: Instant, isTimed: Bool,
            isBefore: Bool
        ) {
            self.place = place
            self.code = code
            self.time = time
            self.received = received
            self.isTimed = isTimed
            self.isBefore = isBefore
        }
    }

    /// What one of them usually does.
    public struct Habit: Sendable, Equatable {
        public var key: Key
        /// When its first and its last report came in.
        public var first: Instant
        public var last: Instant
        public var reports = 0.0
        /// How many pauses of each class of length were made.
        public var pauses = [Float](repeating: 0, count: Habit.classes)
        public var clock = ClockTrail()
        /// How often it spoke of a milestone; older reports count less.
        public var spoken: [ReportingKey: UInt32] = [:]
        /// When its silence is to be looked at.
        public var lookAt = Instant.never

        public init(_ key: Key, at received: Instant) {
            self.key = key
            first = received
            last = received
        }

        /// Classes of pauses: from a quarter of an hour on, each half as long again as the one before.
        static let classes = 24
        static let shortestMinutes = 15.0
        static let growth = 1.5
        /// So many reports over so many days, before its pauses are known.
        static let knownReports = 30.0
        static let knownMinutes = 3 * 1_440.0
        static let knownPauses: Float = 8
        static let keptPauses: Float = 200
        static let keptSpoken: UInt32 = 1_000
        static let milestones = 256
        /// Whoever was silent for so long begins anew.
        static let forgottenMinutes = 365.0 * 1_440
        static let leastMinutes = 60.0

        private static func upper(_ at: Int) -> Double {
            var minutes = shortestMinutes
            for _ in 0...at { minutes *= growth }
            return minutes
        }

        mutating func note(_ report: Report) {
            if report.received.minutes(since: last) >= Habit.forgottenMinutes {
                let look = lookAt
                self = Habit(key, at: report.received)
                lookAt = look
            }
            let pause = report.received.minutes(since: last)
            if pause >= Habit.shortestMinutes, !report.isAfterSilence {
                let at = (0..<Habit.classes - 1).first { pause < Habit.upper($0) }
                pauses[at ?? Habit.classes - 1] += 1
                if pauses.reduce(0, +) > Habit.keptPauses {
                    for index in pauses.indices { pauses[index] /= 2 }
                }
            }
            last = max(last, report.received)
            reports += 1
            if report.isTimed { clock.note(report) }
            let milestone = ReportingKey(place: report.place, code: report.code)
            // Beyond so many no more is learned, until the rare ones have been halved away.
            guard spoken[milestone] != nil || spoken.count < Habit.milestones else { return }
            spoken[milestone, default: 0] += 1
            if spoken[milestone] ?? 0 > Habit.keptSpoken {
                spoken = spoken.mapValues { $0 / 2 }.filter { $0.value > 0 }
            }
        }

        /// Silence up to this is usual; nil: not known yet.
        public var usualMinutes: Double? {
            guard reports >= Habit.knownReports,
                last.minutes(since: first) >= Habit.knownMinutes
            else { return nil }
            let all = pauses.reduce(0, +)
            var rest = all * 0.02
            var at = pauses.lastIndex { $0 > 0 }
            // Of few pauses the longest, and as much again.
            guard all >= Habit.knownPauses else {
                return max(Habit.leastMinutes, at.map { 2 * Habit.upper($0) } ?? 0)
            }
            while let here = at, here > 0, pauses[here] <= rest {
                rest -= pauses[here]
                at = here - 1
            }
            return max(Habit.leastMinutes, at.map { 1.5 * Habit.upper($0) } ?? 0)
        }
    }

    public private(set) var habits: [Habit?] = []
    private var slots: [Key: Int] = [:]
    private var free: [Int] = []
    /// Who has ever spoken of a milestone; some may have forgotten it, or be another by now.
    private var speakers: [ReportingKey: Set<Int>] = [:]
    /// Of which no checkpoint knows the latest, and those that are forgotten.
    public private(set) var changed: Set<Int> = []

    public init() {}

    public static func == (a: Reporters, b: Reporters) -> Bool {
        a.slots.count == b.slots.count
            && a.slots.allSatisfy { key, slot in
                b.slots[key].map { b.habits[$0] == a.habits[slot] } ?? false
            }
    }

    public func slot(of key: Key) -> Int? { slots[key] }

    public func habit(_ key: Key) -> Habit? { slots[key].flatMap { habits[$0] } }

    public var count: Int { slots.count }

    /// Takes note of a report; returns the slot of its sender, nil where `limit` others are known.
    public mutating func note(_ report: Report, from key: Key, limit: Int) -> Int? {
        let slot: Int
        if let known = slots[key] {
            slot = known
        } else {
            guard slots.count < limit else { return nil }
            slot = put(Habit(key, at: report.received))
        }
        let milestone = ReportingKey(place: report.place, code: report.code)
        let isKnown = habits[slot]?.spoken[milestone] != nil
        habits[slot]?.note(report)
        if !isKnown { speakers[milestone, default: []].insert(slot) }
        changed.insert(slot)
        return slot
    }

    @discardableResult
    public mutating func put(_ habit: Habit) -> Int {
        let slot = free.popLast() ?? habits.count
        if slot == habits.count { habits.append(habit) } else { habits[slot] = habit }
        slots[habit.key] = slot
        for milestone in habit.spoken.keys { speakers[milestone, default: []].insert(slot) }
        return slot
    }

    public mutating func look(_ slot: Int, at: Instant) {
        habits[slot]?.lookAt = at
        changed.insert(slot)
    }

    /// What its clock showed before is no sign any more.
    public mutating func forgetClock(_ slot: Int) {
        habits[slot]?.clock = ClockTrail()
        changed.insert(slot)
    }

    public mutating func forget(_ slot: Int) {
        guard let habit = habits[slot] else { return }
        slots[habit.key] = nil
        habits[slot] = nil
        for milestone in habit.spoken.keys {
            speakers[milestone]?.remove(slot)
            if speakers[milestone]?.isEmpty == true { speakers[milestone] = nil }
        }
        changed.remove(slot)
        free.append(slot)
    }

    public mutating func drainChanged() -> [Habit] {
        defer { changed = [] }
        return changed.compactMap { habits[$0] }
    }

    /// Whoever says most of a milestone; nil: nobody says more than all others.
    public func voice(of milestone: ReportingKey) -> Int? {
        speakers[milestone]?.first { isVoice($0, of: milestone) }
    }

    /// Whether most of what is said of a milestone comes from one of them.
    public func isVoice(_ slot: Int, of milestone: ReportingKey) -> Bool {
        guard let own = habits[slot]?.spoken[milestone] else { return false }
        let all = (speakers[milestone] ?? []).reduce(UInt64(0)) {
            $0 + UInt64(habits[$1]?.spoken[milestone] ?? 0)
        }
        return 2 * UInt64(own) > all
    }

    /// Makes room where all is taken: those that hardly were heard of go after a day, the rest after a
    /// month of silence.
    public mutating func sweep(at now: Instant) {
        for slot in habits.indices {
            guard let habit = habits[slot] else { continue }
            let silent = now.minutes(since: habit.last)
            let isKnown = habit.reports >= Habit.knownReports
            if silent >= (isKnown ? 30 * 1_440 : 1_440), habit.lookAt == .never { forget(slot) }
        }
    }

    /// Who reported last, and when; and when anybody else did.
    public var latest: (slot: Int, last: Instant, other: Instant) {
        var found = (slot: -1, last: Instant.unset, other: Instant.unset)
        for (slot, habit) in habits.enumerated() {
            guard let last = habit?.last else { continue }
            if last > found.last {
                found = (slot, last, found.last)
            } else if last > found.other {
                found.other = last
            }
        }
        return found
    }
}

/// A milestone as reports name it.
public struct ReportingKey: Hashable, Comparable, Sendable {
    public var place: UInt32
    public var code: EventCode

    public init(place: UInt32, code: EventCode) {
        self.place = place
        self.code = code
    }

    public static func < (a: ReportingKey, b: ReportingKey) -> Bool {
        (a.place, a.code.rawValue) < (b.place, b.code.rawValue)
    }
}

/// What the last reports of a post say of its clock. A report cannot come before what it tells of, and
/// one that always comes hours after it, whole hours, to the minute, tells of another time zone.
public struct ClockTrail: Sendable, Equatable {
    /// From what is told of to when it came in, seconds; the latest last. Of a train one.
    public var delays: [Int32] = []
    /// Of each whether somebody else had seen the box after that.
    public var before: [Bool] = []
    public var lastTime = Instant.unset
    public var lastReceived = Instant.unset

    public init() {}

    public static let kept = 16
    static let known = 12
    static let apartMinutes = 1.0
    /// A clock that is less wrong than this hurts nobody.
    static let leastSeconds = 300.0
    /// Whole hours are meant where it is less than this off them.
    static let hourSeconds = 420.0

    mutating func note(_ report: Reporters.Report) {
        let isOther =
            abs(report.time.minutes(since: lastTime)) > ClockTrail.apartMinutes
            || report.received.minutes(since: lastReceived) > ClockTrail.apartMinutes
        guard lastTime == .unset || isOther else { return }
        lastTime = report.time
        lastReceived = report.received
        if delays.count == ClockTrail.kept {
            delays.removeFirst()
            before.removeFirst()
        }
        delays.append(Int32(clamping: Int(report.received.minutes(since: report.time) * 60)))
        before.append(report.isBefore)
    }

    /// By how much a clock is wrong.
    public struct Flaw: Sendable, Equatable {
        /// Later than it is; negative: earlier.
        public var minutes: Int
        /// It is off by whole hours, as by another time zone.
        public var isWholeHours: Bool

        public init(minutes: Int, isWholeHours: Bool) {
            self.minutes = minutes
            self.isWholeHours = isWholeHours
        }
    }

    /// nil: nothing is wrong, or too little is known.
    public var flaw: Flaw? {
        guard delays.count >= ClockTrail.known else { return nil }
        let sorted = delays.sorted()
        let median = Double(sorted[sorted.count / 2])
        let spread = Double(sorted[sorted.count * 9 / 10] - sorted[sorted.count / 10])
        let hours = (median / 3_600).rounded()
        let isWhole = hours != 0 && abs(median - hours * 3_600) <= ClockTrail.hourSeconds
        let future = sorted.count { Double($0) < -ClockTrail.leastSeconds / 2 }
        if median <= -ClockTrail.leastSeconds, 4 * future >= 3 * sorted.count {
            return isWhole
                ? Flaw(minutes: Int(-hours) * 60, isWholeHours: true)
                : Flaw(minutes: Int((-median / 60).rounded()), isWholeHours: false)
        }
        let contradicted = before.count { $0 }
        if isWhole, hours > 0, spread <= 600 || contradicted >= 3 && spread <= 1_800 {
            return Flaw(minutes: Int(-hours) * 60, isWholeHours: true)
        }
        if median >= 4 * ClockTrail.leastSeconds, spread <= 1_200, contradicted >= 3 {
            return Flaw(minutes: Int((-median / 60).rounded()), isWholeHours: false)
        }
        return nil
    }

    /// The last report came as one of a wrong clock may.
    public var isLastOdd: Bool {
        guard let last = delays.last.map(Double.init) else { return false }
        return last < -ClockTrail.leastSeconds / 2 || last >= 3 * ClockTrail.leastSeconds
    }

    /// The last reports came as those of a right clock do: soon after what they tell of, and not before.
    public var isRight: Bool {
        let soon = delays.suffix(ClockTrail.known).count {
            Double($0) >= -ClockTrail.leastSeconds / 2 && Double($0) <= 4 * ClockTrail.leastSeconds
        }
        return delays.count >= ClockTrail.known && 4 * soon >= 3 * ClockTrail.known
    }
}
