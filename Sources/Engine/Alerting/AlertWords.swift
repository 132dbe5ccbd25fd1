import Alerting
import Forecast
import Tracking

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
        _ context: ReviewContext
    ) -> String {
        let box = "\(context.container)"
        switch state {
        case .raised, .updated, .acknowledged: return likelyText(outlook, context)
        case .withdrawn: return "\(box): the report that made it late was corrected"
        case .cleared:
            if facts.isComplete {
                let delay = facts.delayMinutes
                return "\(box) reached \(placeName(outlook)) "
                    + (delay.rounded() > 0 ? "\(spoken(delay)) late" : "in time")
            }
            if facts.isPlanChanged { return "\(box): the plan was changed" }
            return "\(box) is expected at \(placeName(outlook)) in time again"
        }
    }

    private func likelyText(_ outlook: Outlook, _ context: ReviewContext) -> String {
        let delay = outlook.delayMinutes ?? 0
        var text =
            "\(context.container) is likely to reach \(placeName(outlook)) "
            + "\(spoken(delay)) late"
        if outlook.isFirst {
            text += ": its way usually takes longer than was promised"
        } else if let cause = causes(outlook, context, minutes: Int(delay)).first {
            let place = register.symbols.known(cause.place).map { placeName($0) } ?? cause.place
            switch cause.kind {
            case .dwell, .departure: text += ": held at \(place)"
            case .transit: text += ": slow on the way to \(place)"
            case .closure: text += ": \(place) is closed"
            case .correction: text += ": a report about \(place) was corrected"
            case .plan: text += ": by its changed plan"
            case .congestion: text += ": \(place) is congested"
            case .queue: text += ": waiting at \(place)"
            case .route: text += ": it goes another way, by \(place)"
            }
        }
        return text
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
            let moves =
                shift >= rules.levelMinutes[0]
                ? "; \(placeName(outlook)) is expected \(spoken(shift)) later than before" : ""
            if episode.type == .customsHold {
                return
                    "\(box) is held by customs at \(place) for \(spoken(silent)), longer than nine in "
                    + "ten\(moves)"
            }
            if episode.type == .stuck {
                return "\(box) stands at \(place) for \(spoken(silent)), while others that came "
                    + "later have left: waited for is “\(what)”\(moves)"
            }
            return "\(box) should have been reported by now: \(what); nothing was heard for "
                + "\(spoken(silent))\(moves)"
        case .othersLeft:
            return
                "\(box) stands at \(place), while others that came later have left: see its alert "
                + "“stuck”"
        case .bypassed: return "\(box) goes another way: \(place) does not lie on it"
        case .undone: return "\(box): the reports before \(place) were corrected"
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
