import Alerting
import Forecast
import Tracking
import Wire

/// What alerts say to people.
extension Engine {
    func placeName(_ symbol: UInt32) -> String { name(register.symbols[symbol]) }

    private func placeName(_ outlook: Outlook) -> String {
        placeName(outlook.chain[outlook.chain.count - 1].place)
    }

    /// Minutes as people say them.
    private func spoken(_ minutes: Double) -> String {
        let whole = Int(minutes.rounded())
        if whole < 90 { return "\(whole) min" }
        if whole < 48 * 60 { return "\((whole + 30) / 60) h" }
        return "\((whole + 720) / 1_440) days"
    }

    func lateText(
        _ state: AlertState, journey facts: LatePolicy.Facts, _ outlook: Outlook,
        _ cause: Cause?, _ context: ReviewContext
    ) -> String {
        let box = "\(context.container)"
        switch state {
        case .raised, .updated, .acknowledged: return likelyText(outlook, cause, context)
        case .withdrawn: return "\(box): the report that made it late was corrected"
        case .cleared:
            if facts.isComplete {
                let delay = facts.delayMinutes
                return "\(box) reached \(placeName(outlook)) "
                    + (delay.rounded() > 0 ? "\(spoken(delay)) late" : "in time")
            }
            if context.touch == nil, isEndUnheard(outlook) {
                return
                    "\(box) has come to \(placeName(outlook)), where it is mostly not reported that boxes leave"
            }
            if facts.isPlanChanged { return "\(box): the plan was changed" }
            return "\(box) is expected at \(placeName(outlook)) in time again"
        }
    }

    /// Of a first look nothing is to be compared: a place that is shut says why by itself, and a timetable where it
    /// was missed.
    private func firstReason(
        _ outlook: Outlook, _ delay: Double, _ context: ReviewContext
    ) -> String {
        if let window = shutAhead(outlook), mayExplain(window.from, outlook) {
            return words(of: window, context.now)
        }
        if isAtItsEnd(outlook) { return ": it is there" }
        let passed = outlook.chain.indices.prefix(outlook.expected.next ?? 0)
        if outlook.graph == nil, let last = passed.last(where: { outlook.lateness($0) != nil }),
            let behind = outlook.lateness(last), behind * 2 >= delay
        {
            return ": it was \(spoken(behind)) behind its plan at "
                + placeName(outlook.chain[last].place)
        }
        if let planned = outlook.chain.last?.planned, planned != .unset,
            let promised = outlook.promised,
            planned.minutes(since: promised) * 2 >= delay
        {
            return ": its own plan ends later than was promised"
        }
        return ": its way usually takes longer than was promised"
    }

    /// What begins when it should have been there is not why it is late.
    func mayExplain(_ from: Instant, _ outlook: Outlook) -> Bool {
        outlook.promised.map { from < $0 } ?? true
    }

    private func likelyText(
        _ outlook: Outlook, _ cause: Cause?, _ context: ReviewContext
    ) -> String {
        let delay = outlook.delayMinutes ?? 0
        let verb = isAtItsEnd(outlook) ? "leave" : "reach"
        var text =
            "\(context.container) is likely to \(verb) \(placeName(outlook)) "
            + "\(spoken(delay)) late"
        if outlook.isFirst {
            text += firstReason(outlook, delay, context)
        } else if let cause {
            let place = register.symbols.known(cause.place).map { placeName($0) } ?? cause.place
            let was = cause.isOver ? "was " : ""
            switch cause.kind {
            case .dwell, .departure: text += ": \(was)held at \(place)"
            case .transit: text += ": \(was)slow on the way to \(place)"
            case .closure:
                text +=
                    shutAhead(outlook).map { words(of: $0, context.now) } ?? ": \(place) is closed"
            case .correction: text += ": a report about \(place) was corrected"
            case .plan: text += ": by its changed plan"
            case .congestion: text += ": \(place) is congested"
            case .queue: text += ": waiting at \(place)"
            case .estimate: text += ": \(place) is said to be reached later"
            case .route: text += ": it goes another way, by \(place)"
            }
        }
        return text
    }

    /// It has come to the place where its way ends, and what is left of it is done there.
    func isAtItsEnd(_ outlook: Outlook) -> Bool {
        guard let next = outlook.expected.next, next > 0, let last = outlook.chain.last else {
            return false
        }
        return outlook.chain[(next - 1)...].allSatisfy { $0.place == last.place }
    }

    private func words(of window: ClosureWindow, _ now: Instant) -> String {
        let place = placeName(window.place)
        return window.from > now ? ": \(place) will be closed" : ": \(place) is closed"
    }

    func silenceText(
        _ facts: SilencePolicy.Facts, _ episode: AlertEpisode, _ progress: Journey.Progress,
        _ outlook: Outlook, _ context: ReviewContext
    ) -> String {
        let box = "\(context.container)"
        let place = placeName(episode.place)
        let what = "\(episode.code.prose) \(place)"
        switch facts {
        case .waiting(let shift, let silent):
            return waitingWords(
                episode, box, placeName(outlook), isThere: isAtItsEnd(outlook), shift: shift,
                silent: silent)
        case .othersLeft:
            return
                "\(box) stands at \(place), while others that came later have left: see its alert "
                + "“stuck”"
        case .bypassed: return "\(box) goes another way: \(place) does not lie on it"
        case .heard:
            return
                "\(box) was reported at \(placeName(progress.lastPlace)); for “\(what)” it is waited anew"
        case .released: return "\(box) was released by customs at \(place)"
        case .undone:
            return context.touch?.corrected == true
                ? "\(box): the reports before \(place) were corrected"
                : "\(box) was seen at \(placeName(progress.lastPlace)), and comes to \(place) later"
        case .reached:
            let waited = Int(episode.at)
            let isReported =
                waited < progress.reached.count && progress.reached[waited] != .unset
                && !progress.implied.contains(waited)
            return isReported
                ? "\(box) was reported: \(what)"
                : "\(box) was seen at \(placeName(progress.lastPlace)); “\(what)” was not reported"
        }
    }
}

/// What alerts say as long as they stand.
extension Engine {
    func offRouteWords(_ box: String, _ place: String) -> String {
        "\(box) was seen at \(place), where its plan does not lead"
    }

    func impossibleWords(_ box: String, _ place: String, after last: String) -> String {
        "\(box) cannot be at \(place) by then, after \(last): a number or a clock is wrong, or it is "
            + "another box"
    }

    func sealWords(_ box: String, _ place: String, _ than: String) -> String {
        "\(box) has other seals at \(place) than \(than), and nobody told of a new one: look whether it "
            + "was opened"
    }

    /// `shift`, `silent`: minutes by which the delivery has moved, and for which nothing was heard.
    func waitingWords(
        _ episode: AlertEpisode, _ box: String, _ end: String, isThere: Bool, shift: Double,
        silent: Double
    ) -> String {
        let place = placeName(episode.place)
        let what = "\(episode.code.prose) \(place)"
        let moves =
            shift >= rules.levelMinutes[0]
            ? isThere
                ? "; it is expected to leave \(end) \(spoken(shift)) later than before"
                : "; \(end) is expected \(spoken(shift)) later than before" : ""
        switch episode.type {
        case .customsHold:
            return
                "\(box) is held by customs at \(place) for \(spoken(silent)), longer than nine in "
                + "ten\(moves)"
        case .stuck:
            return
                "\(box) stands at \(place) for \(spoken(silent)), while others that came later have "
                + "left: waited for is “\(what)”\(moves)"
        default:
            return "\(box) should have been reported by now: \(what); nothing was heard for "
                + "\(spoken(silent))\(moves)"
        }
    }

    /// What an open alert says, as of now.
    func standingWords(
        _ episode: AlertEpisode, _ journey: Journey, _ box: ContainerNumber, _ now: Instant
    ) -> String {
        let (box, place) = ("\(box)", placeName(episode.place))
        let end = journey.way.milestones.last.map { placeName($0.place) } ?? place
        let progress = journey.progress
        switch episode.type {
        case .late:
            // What was found last is not told yet.
            if episode.delayMinutes <= 0 {
                return "\(box) is expected at \(place) in time again; the alert is about to end"
            }
            return "\(box) is likely to reach \(place) \(spoken(Double(episode.delayMinutes))) late"
        case .offRoute: return offRouteWords(box, place)
        case .impossible: return impossibleWords(box, place, after: placeName(progress.lastPlace))
        case .seal: return sealWords(box, place, "before")
        case .overdue, .stuck, .customsHold:
            let last = progress.lastTime == .unset ? episode.raisedAt : progress.lastTime
            return waitingWords(
                episode, box, end,
                isThere: journey.way.milestones.last?.place == progress.lastPlace,
                shift: Double(episode.delayMinutes), silent: now.minutes(since: last))
        case .postSilent, .postClock, .closure: return place
        }
    }
}

/// What parents of alerts say.
extension Engine {
    private func boxes(_ count: Int) -> String {
        count == 0
            ? "no box"
            : count == 1
                ? "1 box" : count >= Incident.counted ? "\(count) boxes and more" : "\(count) boxes"
    }

    private func sender(_ incident: Incident) -> String {
        incident.post.isEmpty ? name(incident.place) : "post \(incident.post)"
    }

    /// Hours as they are compared with each other.
    private func hours(_ minutes: Double) -> String {
        minutes < 90 ? "\(Int(minutes.rounded())) min" : "\(Int((minutes / 60).rounded())) h"
    }

    func silentText(
        _ facts: IncidentPolicies.SilenceFacts, _ incident: Incident, _ state: AlertState
    ) -> String {
        let isAll = incident.key == Engine.everybody
        let who = isAll ? "anybody" : sender(incident)
        let count = boxes(incident.count)
        switch facts {
        case .silent(let minutes, let usual):
            let held =
                incident.count == 0
                ? ""
                : "; \(count) \(incident.count == 1 ? "is" : "are") awaited, of which nothing is told until then"
            if isAll {
                return "nothing has come from anybody for \(hours(minutes)), and reports are due"
                    + "\(held): look at the feed, its network and its certificates"
            }
            let advice = incident.post.isEmpty ? "" : ": look at its link, its power, its scanner"
            return
                "nothing has come from \(who) for \(hours(minutes)), longer than its pauses usually last "
                + "(\(hours(usual))), and reports are due\(held)\(advice)"
        case .catchingUp: return "reports come from \(who) again, old ones still"
        case .back:
            let silent = incident.backAt.minutes(since: incident.since)
            let held =
                incident.count == 0
                ? "" : "; \(count) that were awaited are looked at one by one"
            return "reports come from \(who) again, after \(hours(silent))\(held)"
        case .revoked: return "\(who) is not enrolled any more"
        case .forgotten:
            return "nothing was heard of \(who) for a year, and it is no longer waited for"
        }
    }

    func clockText(
        _ facts: IncidentPolicies.ClockFacts, _ incident: Incident, _ state: AlertState
    ) -> String {
        let who = sender(incident)
        switch facts {
        case .wrong(let flaw):
            let amount =
                flaw.isWholeHours
                ? "\(abs(flaw.minutes) / 60) h" : "\(abs(flaw.minutes)) min"
            let seen =
                flaw.minutes > 0
                ? "its reports speak of times to come" : "its reports always come that much later"
            let direction = flaw.minutes > 0 ? "ahead" : "behind"
            let why =
                flaw.isWholeHours
                ? ": its time zone or its offset is wrong; set it right"
                : ": set its clock"
            let command =
                flaw.isWholeHours && !incident.post.isEmpty
                ? ", and correct what it said with caravan post correct \(incident.post) "
                    + "--minutes \(-flaw.minutes) --from …" : ""
            return "the times of \(who) are \(amount) \(direction), \(seen)\(why)\(command)"
        case .unknown: return "the clock of \(who) is looked at"
        case .right: return "the clock of \(who) is right again"
        case .corrected: return "the times of \(who) are corrected from now on"
        case .revoked: return "\(who) is not enrolled any more"
        case .forgotten:
            return "nothing was heard of \(who) for a year: its clock is not judged any more"
        }
    }

    func closureText(
        _ facts: IncidentPolicies.ClosureFacts, _ incident: Incident, _ closure: Closure?,
        isShutStill: Bool
    ) -> String {
        let place = name(incident.place)
        let count = boxes(incident.count)
        switch facts {
        case .shut(_, let isOpenEnded):
            let mode =
                closure.map { $0.mode == .unknown ? "" : " to \($0.mode.code.lowercased())" } ?? ""
            let zone = network.place(incident.place).map { network.places[$0].zone } ?? .utc
            func local(_ at: Instant) -> String {
                let text = TimeText.string(at, offsetMinutes: zone.offset(at: at))
                let offset = text.hasSuffix("Z") ? "Z" : String(text.suffix(6))
                return "\(text.prefix(10)) \(text.dropFirst(11).prefix(5))\(offset)"
            }
            let until = isOpenEnded ? "until further notice" : "until \(local(incident.until))"
            var before: [String] = []
            if incident.isAmended {
                if abs(incident.since.minutes(since: incident.toldSince)) >= 1 {
                    before.append("from \(local(incident.toldSince))")
                }
                if incident.until != incident.toldUntil {
                    before.append(
                        incident.toldUntil == .never
                            ? "until further notice" : "until \(local(incident.toldUntil))")
                }
            }
            return "\(place) is closed\(mode) from \(local(incident.since)) \(until)"
                + (before.isEmpty ? "" : " (before: \(before.joined(separator: " ")))")
                + ": it delays \(count)"
        case .over:
            return isShutStill
                ? "this closure of \(place) has ended, by what was announced, and another goes on; \(count) "
                    + "had to wait for it"
                : "\(place) is open again, by what was announced; \(count) "
                    + (incident.count == 1 ? "waits" : "wait") + " for it now"
        case .takenBack: return "\(place): the closure was taken back"
        case .forgotten: return "\(place): nothing was heard of its closure for long"
        }
    }
}
