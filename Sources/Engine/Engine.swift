import Alerting
import Forecast
import Log
import Tracking
import Wire

/// The single-writer sequence: (lines, now) in, effects out. It has no socket, no database and no
/// clock; the same inputs give the same state and the same output, byte for byte.
///
///     let effects = engine.step(chunks, now: now)
///     try await store.commit(effects.commit)      // then, and only then, effects.replies
public struct Engine: Sendable {
    public internal(set) var rules: AlertRules
    public internal(set) var network: Network
    public internal(set) var networkBytes: [UInt8]
    /// The last batch that was stepped.
    public internal(set) var batch = 0
    /// The last output number given out.
    public internal(set) var seq = 0

    public let parser: FeedParser

    // The stages, each with what it knows.

    /// What does the line say, may this sender say it, is it new?
    var intake = Intake()
    /// The record that a line belongs to, and which records are in memory.
    var register = Register()
    /// Which ways there are.
    var ways: Ways
    var closureBook = ClosureBook()
    /// What is expected, and what has been learned.
    var forecasting = Forecasting()
    /// What is remembered of alerts beside those of journeys.
    var alertBook = AlertBook()
    var alertsDirty = false
    /// By their ids where open alerts are; no state, it follows from the records and the book.
    var openAlerts: [String: OpenAlert] = [:]
    /// Who reports, how often, and by what clock; and which of them are told of as silent.
    var reporters = Reporters()
    var silentPosts: [Reporters.Key: IncidentKey] = [:]
    /// When each of them is to be looked at.
    var postsDue = DueHeap()
    var configDirty = true
    /// Boxes of which reports are to be set right; no state, it follows from their records.
    var correcting = Correcting()

    /// How good the forecasts have been.
    public var intervals: IntervalCalibrator { forecasting.intervals }

    /// `parser`: reads what a log or a snapshot holds, which was taken under whatever limits.
    public init(parser: FeedParser = FeedParser(limits: .largest)) {
        self.parser = parser
        rules = AlertRules()
        network = Network()
        networkBytes = []
        ways = Ways(network: Network())
    }

    /// Views that do not count in its forecasts: to see what they are worth.
    public var without: Views {
        get { forecasting.pools.without }
        set { forecasting.pools.without = newValue }
    }

    /// The earliest moment at which `step` has something to do without any line.
    public var nextDue: Instant {
        mutating get {
            min(register.due.next, postsDue.next, alertBook.nextLook, correcting.dueAt)
        }
    }

    public var liveContainers: Int { register.slots.count }

    /// Decides one batch: what arrived, and what has become due by `now`.
    public mutating func step(
        _ chunks: [FeedChunk], changes: [ConfigChange] = [], now: Instant
    ) -> Effects {
        var draft = Draft(now: now)
        // Intake and register: what is said, is it new, whose record is it?
        for change in changes { apply(change, &draft) }
        correctSome(&draft)
        for chunk in chunks { decide(chunk, &draft) }
        let dueSlots = register.due.popDue(now).sorted {
            register.records[$0].number < register.records[$1].number
        }
        look(&draft)
        for slot in dueSlots where draft.touched[slot] == nil {
            draft.timersFired = true
            review(slot, &draft)
        }
        if !dueSlots.isEmpty { draft.timersFired = true }
        judgeIncidents(&draft)
        countConvoys(&draft)
        return finish(draft)
    }

    /// The second half of a step, for all that was touched.
    private mutating func look(_ draft: inout Draft) {
        touchClosed(&draft)
        // Journeys: what has happened, on which way?
        for slot in draft.order { refold(slot, &draft) }
        touchCompanions(&draft)
        // Forecasting, publishing, alerting: what is expected, is it worth a line, a person's attention?
        for slot in draft.order { review(slot, &draft) }
    }

    /// So many reports of long ago are looked at together. A batch of an import may be a day of the
    /// corridor: looked at once, only its end would teach how good the forecasts are.
    private static let historyRound = 250

    /// Looks at what has come so far where that is a whole round of history.
    mutating func lookAtHistory(_ draft: inout Draft) {
        guard draft.history >= Engine.historyRound else { return }
        look(&draft)
        draft.beginRound()
    }

    /// The first of a train is told before the others: how many they are is known once all have been looked at.
    private func countConvoys(_ draft: inout Draft) {
        for at in draft.notices.indices {
            guard case .alert(var line) = draft.notices[at], line.convoy?.isLead == true,
                line.state == .raised, let id = line.convoy?.id,
                let count = alertBook.count(of: id)
            else { continue }
            line.convoy?.count = count
            draft.notices[at] = .alert(line)
        }
    }

    private mutating func finish(_ draft: Draft) -> Effects {
        var effects = Effects()
        effects.replies = draft.replies
        effects.counts = draft.counts
        effects.refused = draft.refused
        effects.warned = draft.warned
        let writes =
            draft.blob.count > 0 || draft.timersFired || !draft.quarantined.isEmpty
            || !draft.marks.isEmpty
        guard writes else { return effects }
        batch += 1
        seq += draft.notices.count
        effects.commit = Commit(
            batch: batch, now: draft.now, blob: draft.blob.finished(),
            entries: draft.blob.count, events: draft.events, quarantined: draft.quarantined,
            said: draft.notices, marks: draft.marks, lastSeq: seq)
        return effects
    }
}
