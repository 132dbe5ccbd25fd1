import Alerting
import Forecast
import Tracking

/// Posts: whether they report, and by what clock.
extension Engine {
    // MARK: Reports

    /// Learns from a report how its sender reports.
    mutating func noteReport(
        _ record: EventRecord, of slot: Int, isNew: Bool, _ draft: inout Draft
    ) {
        guard record.eventClass == .act, !record.retracted, record.place != 0 else { return }
        let key = Reporters.Key(post: record.post, place: record.place)
        var report = Reporters.Report(
            place: record.place, code: record.code, time: record.time, received: draft.now,
            isTimed: isNew && !record.flags.isVague, isBefore: false)
        report.isBefore = report.isTimed && isContradicted(record, key, slot)
        if let silent = silentPosts[key] { noteReturn(silent, report, &draft) }
        if silentPosts[Engine.anybody] != nil { noteReturn(Engine.everybody, report, &draft) }
        report.isAfterSilence = silentPosts[key] != nil || silentPosts[Engine.anybody] != nil
        if reporters.count >= rules.maxClosures, reporters.slot(of: key) == nil,
            alertBook.sweptAt == .unset || draft.now.minutes(since: alertBook.sweptAt) >= 60
        {
            reporters.sweep(at: draft.now)
            alertBook.sweptAt = draft.now
            alertsDirty = true
        }
        // Places that nobody in particular reports of leave half of the room to posts.
        let limit = key.post == 0 ? rules.maxClosures / 2 : rules.maxClosures
        guard let reporter = reporters.note(report, from: key, limit: limit) else { return }
        // Of one that is hardly known silence is no news.
        if reporters.habits[reporter]?.lookAt == .never, let habit = reporters.habits[reporter],
            let usual = habit.usualMinutes
        {
            lookAtPost(reporter, at: Engine.onGrid(habit.last.advanced(minutes: usual)))
        }
        draft.reporters.insert(reporter)
    }

    /// Somebody else saw the box elsewhere and told of it at once, and after the time of this report.
    private func isContradicted(
        _ record: EventRecord, _ key: Reporters.Key, _ slot: Int
    ) -> Bool {
        guard
            let before = register.records[slot].history.events.last(where: {
                $0.isEvidence && $0.identity != record.identity
            }), before.place != record.place, !before.flags.isVague,
            Reporters.Key(post: before.post, place: before.place) != key,
            before.delaySeconds >= 0, before.delaySeconds <= 600
        else { return false }
        let heard = before.time.advanced(minutes: Double(before.delaySeconds) / 60)
        return record.time < heard.advanced(minutes: -5) && record.time > before.time
    }

    mutating func lookAtPost(_ slot: Int, at: Instant) {
        reporters.look(slot, at: at)
        postsDue.schedule(slot, at: at)
    }

    /// Posts are looked at together, on the quarter of an hour.
    static let postLookMinutes = 15.0

    private static func onGrid(_ at: Instant) -> Instant {
        let grid = Int64(postLookMinutes * 60_000_000)
        let whole = (at.microseconds + grid) / grid * grid
        return Instant(microseconds: whole)
    }

    func name(of key: Reporters.Key) -> String {
        register.symbols[key.post == 0 ? key.place : key.post]
    }

    // MARK: Silence

    /// Posts whose clock is judged anew, and those that may have fallen silent.
    mutating func judgePosts(_ draft: inout Draft) {
        for slot in draft.reporters.sorted() { considerClock(slot, &draft) }
        draft.reporters = []
        let due = postsDue.popDue(draft.now).sorted()
        if due.isEmpty { return }
        draft.timersFired = true
        var candidates: [Int] = []
        for slot in due {
            guard let habit = reporters.habits[slot] else { continue }
            let silent = draft.now.minutes(since: habit.last)
            if silent >= IncidentPolicies.giveUpMinutes {
                reporters.forget(slot)
                continue
            }
            guard let usual = habit.usualMinutes, silentPosts[habit.key] == nil,
                !isRevoked(habit.key)
            else {
                // Its next report arms it.
                lookAtPost(slot, at: .never)
                continue
            }
            if silent < usual {
                lookAtPost(slot, at: Engine.onGrid(habit.last.advanced(minutes: usual)))
            } else {
                candidates.append(slot)
            }
        }
        if candidates.isEmpty { return }
        let awaited = awaited(candidates, draft.now)
        let latest = reporters.latest
        var unheard = (weight: 0.0, trains: 0, since: Instant.unset)
        for slot in candidates {
            guard let habit = reporters.habits[slot] else { continue }
            let silent = draft.now.minutes(since: habit.last)
            let (weight, trains) = awaited[slot] ?? (0, 0)
            let other = latest.slot == slot ? latest.other : latest.last
            if !isHeard(other, since: habit.last, draft.now) {
                unheard.weight += weight
                unheard.trains += trains
                unheard.since = max(unheard.since, habit.last)
            } else if weight >= IncidentPolicies.surprise,
                trains >= IncidentPolicies.leastAwaited, silentPosts[Engine.anybody] == nil
            {
                beginSilence(
                    IncidentKey(.postSilent, name(of: habit.key), isPost: habit.key.post != 0),
                    of: habit.key, at: busiestPlace(habit), since: habit.last, &draft)
            }
            lookAtPost(
                slot,
                at: Engine.onGrid(
                    draft.now.advanced(
                        minutes: min(1_440, max(Engine.postLookMinutes, silent / 8)))))
        }
        considerEverybody(unheard, &draft)
    }

    /// Nothing comes from anybody: told once, as one thing, and not before a second look, as those who come
    /// back after we were away ourselves need a moment.
    private mutating func considerEverybody(
        _ unheard: (weight: Double, trains: Int, since: Instant), _ draft: inout Draft
    ) {
        guard unheard.weight >= IncidentPolicies.surprise,
            unheard.trains >= IncidentPolicies.leastAwaited, silentPosts[Engine.anybody] == nil
        else { return }
        let waited = draft.now.minutes(since: alertBook.unheardAt)
        if waited >= Engine.postLookMinutes, alertBook.unheardAt > unheard.since {
            return beginSilence(
                Engine.everybody, of: Engine.anybody, at: "", since: unheard.since, &draft)
        }
        if alertBook.unheardAt <= unheard.since {
            alertBook.unheardAt = draft.now
            alertsDirty = true
        }
    }

    /// All who report, as one.
    static let everybody = IncidentKey(.postSilent, "")
    static let anybody = Reporters.Key(post: 0, place: 0)

    /// Others report meanwhile: it is not we who were away. Where nobody else ever did, it is taken for so.
    private func isHeard(_ other: Instant, since last: Instant, _ now: Instant) -> Bool {
        guard other > last.advanced(minutes: -10_080) else { return true }
        return other > last && now.minutes(since: other) <= max(60, now.minutes(since: last) / 4)
    }

    private func isRevoked(_ key: Reporters.Key) -> Bool {
        key.post != 0 && intake.roster[register.symbols[key.post]]?.isRevoked == true
    }

    /// Of each post how surprising its silence is, by the boxes that it should have reported since, and of
    /// how many trains they are.
    private func awaited(
        _ slots: [Int], _ now: Instant
    ) -> [Int: (weight: Double, trains: Int)] {
        struct Train: Hashable {
            var slot: Int
            var place: UInt32
            var quarter: Int64
        }
        var voices: [ReportingKey: [Int]] = [:]
        for slot in slots {
            for milestone in reporters.habits[slot]?.spoken.keys ?? [:].keys
            where reporters.isVoice(slot, of: milestone) {
                voices[milestone, default: []].append(slot)
            }
        }
        var trains: [Train: Double] = [:]
        for record in register.records {
            for journey in record.journeys {
                guard let next = journey.publication.next,
                    Int(next.milestone) < journey.way.milestones.count
                else { continue }
                let milestone = journey.way.milestones[Int(next.milestone)]
                let key = ReportingKey(place: milestone.place, code: milestone.code)
                for slot in voices[key] ?? [] {
                    let last = reporters.habits[slot]?.last ?? now
                    func passed(_ at: Instant) -> Bool { at > last && at <= now }
                    let weight =
                        passed(next.interval.p90)
                        ? IncidentPolicies.ninetyWeight
                        : passed(next.interval.p50) ? IncidentPolicies.halfWeight : 0
                    guard weight > 0 else { continue }
                    let seen = journey.progress.lastTime.microseconds / 900_000_000
                    let train = Train(
                        slot: slot, place: journey.progress.lastPlace, quarter: seen)
                    trains[train] = max(trains[train] ?? 0, weight)
                }
            }
        }
        var sums: [Int: (weight: Double, trains: Int)] = [:]
        for (train, weight) in trains {
            sums[train.slot, default: (0, 0)].trains += 1
            // In tenths, so that the order of summing does not show.
            sums[train.slot]?.weight += (weight * 10).rounded()
        }
        return sums.mapValues { ($0.weight / 10, $0.trains) }
    }

    private mutating func beginSilence(
        _ key: IncidentKey, of reporter: Reporters.Key, at place: String, since: Instant,
        _ draft: inout Draft
    ) {
        var incident = alertBook.incidents[key] ?? Incident(key, place: place, since: since)
        guard !incident.isOpen else { return }
        incident.since = since
        incident.place = place
        incident.children = []
        incident.backAt = .unset
        incident.quietAt = .unset
        incident.lookAt = Engine.onGrid(draft.now.advanced(minutes: 60))
        alertBook.incidents[key] = incident
        silentPosts[reporter] = key
        draft.incidents.append(key)
    }

    private func busiestPlace(_ habit: Reporters.Habit) -> String {
        if habit.key.post == 0 { return register.symbols[habit.key.place] }
        var places: [String: UInt64] = [:]
        for (milestone, count) in habit.spoken {
            places[register.symbols[milestone.place], default: 0] += UInt64(count)
        }
        return places.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key ?? ""
    }

    /// The first report after a silence; and old news that comes in after it.
    private mutating func noteReturn(
        _ key: IncidentKey, _ report: Reporters.Report, _ draft: inout Draft
    ) {
        guard var incident = alertBook.incidents[key] else { return }
        let now = report.received
        let isOld = now.minutes(since: report.time) > rules.backlogMinutes
        if incident.backAt == .unset {
            incident.backAt = now
            incident.quietAt = now.advanced(minutes: rules.settleMinutes)
        } else if isOld {
            incident.quietAt = max(
                incident.quietAt,
                min(
                    now.advanced(minutes: rules.settleMinutes),
                    incident.backAt.advanced(minutes: Engine.catchUpMinutes)))
        } else {
            return
        }
        incident.lookAt = incident.quietAt
        alertBook.incidents[key] = incident
        alertsDirty = true
        draft.incidents.append(key)
    }

    /// Old news is waited for no longer than this.
    private static let catchUpMinutes = 60.0

    mutating func judgeSilentPost(_ key: IncidentKey, _ draft: inout Draft) {
        guard var incident = alertBook.incidents[key] else { return }
        let now = draft.now
        let reporter = silentPosts.first { $0.value == key }?.key
        let isAll = key == Engine.everybody
        let habit = reporter.flatMap { reporters.habit($0) }
        let usual = isAll ? Engine.catchUpMinutes : habit?.usualMinutes ?? 0
        if incident.isOpen, incident.backAt != .unset, let habit,
            now.minutes(since: habit.last) >= max(usual, Engine.catchUpMinutes)
        {
            // It fell silent again before it was told that it is back.
            incident.backAt = .unset
            incident.since = habit.last
        }
        let silent = now.minutes(since: incident.since)
        let facts: IncidentPolicies.SilenceFacts =
            reporter.map(isRevoked) == true
            ? .revoked
            : silent >= IncidentPolicies.giveUpMinutes || habit == nil && !isAll
                ? .forgotten
                : incident.backAt == .unset
                    ? .silent(minutes: silent, usualMinutes: usual)
                    : now >= incident.quietAt ? .back : .catchingUp
        let isFlapping = incident.isOpen && incident.episodes.last?.isFlapping == true
        let finding = IncidentPolicies.silence(facts, rules, isFlapping: isFlapping)
        let told = incident
        look(&incident, finding, &draft) { engine, state in
            engine.silentText(facts, told, state)
        }
        if incident.backAt == .unset {
            incident.lookAt = Engine.onGrid(now.advanced(minutes: 60))
        } else if incident.isOpen {
            let clear = incident.episodes.last?.confirmAt ?? .never
            incident.lookAt = clear == .never ? max(incident.quietAt, now) : clear
        }
        guard !incident.isOpen else {
            alertBook.incidents[key] = incident
            return
        }
        incident.lookAt = .never
        let children = incident.children
        incident.children = []
        alertBook.incidents[key] = incident
        if let reporter {
            silentPosts[reporter] = nil
            if let slot = reporters.slot(of: reporter), let habit {
                lookAtPost(slot, at: Engine.onGrid(habit.last.advanced(minutes: max(usual, 15))))
            }
        }
        release(children, &draft)
    }

    /// The silent post that should have reported a milestone.
    func silentPost(of milestone: Milestone) -> IncidentKey? {
        if silentPosts.isEmpty { return nil }
        if silentPosts[Engine.anybody] != nil { return Engine.everybody }
        let key = ReportingKey(place: milestone.place, code: milestone.code)
        return silentPosts.filter { entry in
            reporters.slot(of: entry.key).map { reporters.isVoice($0, of: key) } == true
        }.values.min()
    }

    /// The post that should have reported a milestone has paused for long itself: until then it is waited
    /// for whether it reports at all, before its silence about one box is told.
    func doubtedUntil(_ milestone: Milestone, _ now: Instant) -> Instant? {
        let key = ReportingKey(place: milestone.place, code: milestone.code)
        guard let slot = reporters.voice(of: key), let habit = reporters.habits[slot],
            let usual = habit.usualMinutes, now.minutes(since: habit.last) >= usual
        else { return nil }
        return habit.last.advanced(minutes: usual + min(usual, Engine.doubtMinutes))
    }

    private static let doubtMinutes = 120.0

    /// Counts a box among those whose alerts wait until a post reports again.
    mutating func holdBack(_ box: ContainerNumber, _ key: IncidentKey, _ draft: inout Draft) {
        guard alertBook.incidents[key]?.children.contains(box) == false else { return }
        alertBook.incidents[key]?.add(box)
        alertsDirty = true
        if !draft.incidents.contains(key) { draft.incidents.append(key) }
    }

    /// A box that is held back is looked at again after so long at the latest.
    static let heldMinutes = 360.0

    // MARK: Clocks

    private mutating func considerClock(_ slot: Int, _ draft: inout Draft) {
        guard let habit = reporters.habits[slot] else { return }
        let key = IncidentKey(.postClock, name(of: habit.key), isPost: habit.key.post != 0)
        let isOpen = alertBook.incidents[key]?.isOpen == true
        // As long as the last one is right there is nothing to look for.
        guard isOpen || habit.clock.isLastOdd else { return }
        let flaw = habit.clock.flaw
        if isOpen {
            guard habit.clock.isRight || flaw != nil else { return }
        } else if flaw == nil {
            return
        }
        var incident =
            alertBook.incidents[key]
            ?? Incident(key, place: busiestPlace(habit), since: draft.now)
        // An open one says once how wrong it is, unless it becomes quite another fault.
        if incident.isOpen, let flaw, let told = incident.flaw,
            flaw.isWholeHours == told.isWholeHours, abs(flaw.minutes - told.minutes) < 30
        {
            return
        }
        incident.flaw = flaw
        if !incident.isOpen { incident.since = draft.now }
        alertBook.incidents[key] = incident
        draft.incidents.append(key)
    }

    mutating func judgeClock(_ key: IncidentKey, _ draft: inout Draft) {
        guard var incident = alertBook.incidents[key] else { return }
        let isOut = intake.roster[incident.post]?.isRevoked == true
        // A correction ends it where it has just come: if it was the wrong one, its reports tell.
        let corrected = draft.corrected.contains(incident.post)
        let last = reporters.habit(reporter(of: incident))?.last ?? .unset
        let isGone =
            last == .unset || draft.now.minutes(since: last) >= IncidentPolicies.giveUpMinutes
        let facts: IncidentPolicies.ClockFacts =
            isOut
            ? .revoked
            : incident.isOpen && isGone
                ? .forgotten
                : incident.isOpen && corrected && incident.flaw?.isWholeHours == true
                    ? .corrected : incident.flaw.map { .wrong($0) } ?? .right
        let isFlapping = incident.isOpen && incident.episodes.last?.isFlapping == true
        let finding = IncidentPolicies.clock(facts, isFlapping: isFlapping)
        let told = incident
        look(&incident, finding, &draft) { engine, state in engine.clockText(facts, told, state) }
        incident.lookAt =
            incident.isOpen
            ? min(
                incident.episodes.last?.confirmAt ?? .never,
                last.advanced(minutes: IncidentPolicies.giveUpMinutes)) : .never
        alertBook.incidents[key] = incident
    }

    /// Whose habits an incident about a post, or about a place that nobody in particular reports of, is told by.
    private func reporter(of incident: Incident) -> Reporters.Key {
        let subject = register.symbols.known(incident.key.subject) ?? 0
        return Reporters.Key(
            post: incident.post.isEmpty ? 0 : subject, place: incident.post.isEmpty ? subject : 0)
    }
}
