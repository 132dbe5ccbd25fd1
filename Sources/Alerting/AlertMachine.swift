import Tracking

/// The life of an alert, of whatever type: what is found at a look goes in, the line to be said comes
/// out. Raising and clearing have different thresholds, and nothing clears by silence.
public struct AlertMachine: Sendable {
    private let rules: AlertRules

    /// From so many episodes of a key within so long on, it flaps: the last one stays open until calm has
    /// lasted for longer.
    static let flappingEpisodes = 3
    static let flappingMinutes = 360.0
    static let flappingCalmMinutes = 120.0

    /// Whether an episode that is raised now is one of many of its key.
    public func flaps(_ earlier: some Sequence<AlertEpisode>, at now: Instant) -> Bool {
        let recent = earlier.count {
            $0.raisedAt != .unset
                && now.minutes(since: $0.raisedAt) <= AlertMachine.flappingMinutes
        }
        return recent + 1 >= AlertMachine.flappingEpisodes
    }

    public init(_ rules: AlertRules) { self.rules = rules }

    /// Begins an episode where something is found to be so: not yet an alert, but on its way to one.
    /// `since`: since when it is so.
    public func begin(
        _ key: AlertKey, _ episode: UInt32, _ finding: Finding, since: Instant, _ moment: Moment
    ) -> AlertEpisode? {
        guard case .holds(let condition) = finding else { return nil }
        var begun = AlertEpisode(key, episode: episode, since: since)
        begun.confirmAt = moment.now.advanced(minutes: rules.confirmMinutes)
        note(condition, &begun)
        return begun
    }

    /// Looks at an episode again; returns what is to be said, nil where nothing is. One that ended
    /// before it was an alert is closed without a line.
    public func advance(
        _ episode: inout AlertEpisode, _ finding: Finding, _ moment: Moment
    ) -> AlertState? {
        if let condition = finding.condition { note(condition, &episode) }
        switch (episode.phase, finding) {
        case (.closed, _): return nil
        case (.pending, .holds(let condition)): return confirm(&episode, condition, moment)
        case (.pending, _):
            episode.phase = .closed
            episode.confirmAt = .never
            return nil
        case (_, .over(let state, _)): return end(&episode, state)
        case (_, .ceases):
            guard episode.phase == .clearing else {
                episode.phase = .clearing
                episode.since = moment.now
                let calm =
                    episode.isFlapping
                    ? max(rules.calmMinutes, AlertMachine.flappingCalmMinutes) : rules.calmMinutes
                episode.confirmAt = moment.now.advanced(minutes: calm)
                return nil
            }
            return moment.now >= episode.confirmAt ? end(&episode, .cleared) : nil
        case (_, .holds(let condition)), (_, .undecided(let condition)):
            episode.phase = .open
            episode.confirmAt = .never
            return level(&episode, condition, moment)
        }
    }

    private func note(_ condition: Condition, _ episode: inout AlertEpisode) {
        episode.delayMinutes = Int32(
            max(-10_000_000, min(10_000_000, condition.delayMinutes.rounded())))
        episode.probability = Float(condition.probability)
    }

    /// It becomes an alert by a second sign, by time, or at once where it is obvious; never while a
    /// backlog is coming in.
    private func confirm(
        _ episode: inout AlertEpisode, _ condition: Condition, _ moment: Moment
    ) -> AlertState? {
        if moment.isEvidence { episode.evidence.countOn() }
        let isConfirmed =
            condition.isObvious || Int(episode.evidence) >= rules.confirmEvents
            || moment.now >= episode.confirmAt
        if moment.isHeld { episode.confirmAt = moment.holdUntil }
        guard isConfirmed else { return nil }
        if moment.isHeld {
            if !episode.isShadow { episode.horizon = UInt8(clamping: condition.horizon) }
            episode.isShadow = true
            return nil
        }
        episode.phase = .open
        episode.confirmAt = .never
        episode.horizon = UInt8(clamping: condition.horizon)
        episode.severity = condition.severity ?? .info
        episode.raisedAt = moment.now
        defer { episode.levelRev = episode.rev }
        return count(&episode, .raised)
    }

    /// A lower level has to be clear of its threshold, so that it does not flap.
    private func level(
        _ episode: inout AlertEpisode, _ condition: Condition, _ moment: Moment
    ) -> AlertState? {
        guard let level = condition.severity, !moment.isHeld else { return nil }
        if level == episode.severity {
            // Beyond the highest level a delay that has doubled is news.
            let told = Double(max(episode.toldMinutes, 1))
            guard level == Severity.allCases.last, condition.delayMinutes >= 2 * told else {
                return nil
            }
            return count(&episode, .updated)
        }
        let floor = rules.levelMinutes[Int(episode.severity.rawValue)] * rules.clearShare
        guard level > episode.severity || condition.delayMinutes < floor else { return nil }
        // Whoever sees to it has seen less than this.
        if level > episode.severity {
            episode.acknowledgedUntil = .unset
            episode.acknowledgement = 0
            defer { episode.levelRev = episode.rev }
            episode.severity = level
            return count(&episode, .updated)
        }
        episode.severity = level
        return count(&episode, .updated)
    }

    /// Somebody has seen it, and sees to it. Nothing reopens by that, nothing closes.
    public func acknowledge(
        _ episode: inout AlertEpisode, _ seen: AlertAcknowledgement
    ) -> Acknowledged {
        guard episode.phase == .open || episode.phase == .clearing else { return .notOpen }
        if episode.acknowledgement == seen.content { return .again }
        guard seen.rev <= Int(episode.rev) else { return .notSaid(Int(episode.rev)) }
        guard seen.rev >= Int(episode.levelRev) else { return .worse(Int(episode.rev)) }
        episode.acknowledgement = seen.content
        episode.acknowledgedUntil = seen.until ?? .never
        return .taken(count(&episode, .acknowledged))
    }

    /// What became of an acknowledgement.
    public enum Acknowledged: Sendable, Equatable {
        case taken(AlertState)
        case again
        case notOpen
        /// The alert has no such line; its last one.
        case notSaid(Int)
        /// It has become worse since that line; its last one.
        case worse(Int)
    }

    /// It concerns more than was told.
    public func grow(_ episode: inout AlertEpisode) -> AlertState { count(&episode, .updated) }

    private func end(_ episode: inout AlertEpisode, _ state: AlertState) -> AlertState {
        episode.phase = .closed
        episode.confirmAt = .never
        return count(&episode, state)
    }

    private func count(_ episode: inout AlertEpisode, _ state: AlertState) -> AlertState {
        episode.rev.countOn()
        if state == .raised || state == .updated { episode.toldMinutes = episode.delayMinutes }
        return state
    }
}
