import Forecast
import Tracking

/// Why a forecast moved: the change split over the steps that caused it.
extension Engine {
    /// The means of an outlook as a publication keeps them: minutes from its p50, and behind them what other
    /// ways add to the end.
    func path(_ outlook: Outlook) -> [Float] {
        let middle = outlook.p50.minutes(since: outlook.seenFrom)
        let path = outlook.means.map { $0 - Float(middle) }
        return outlook.detourMinutes == 0 ? path : path + [outlook.detourMinutes]
    }

    /// Splits a change of the p50 over the steps: each gets by how much longer it lasts or is
    /// expected to last than when the last forecast was published, and the minutes add up to the
    /// change.
    func split(
        _ minutes: Int, _ journey: Journey, _ outlook: Outlook, _ context: ReviewContext
    ) -> [Cause] {
        if let turn = outlook.turn { return [cause(turn, minutes, outlook, context)] }
        guard minutes != 0 else { return [] }
        let path = journey.publication.path
        let count = outlook.means.count
        guard path.count == count || path.count == count + 1, !isByPlan(outlook, context) else {
            return causes(outlook, context, minutes: minutes)
        }
        let offset = journey.publication.p50.minutes(since: outlook.seenFrom)
        var changes: [(step: Int, minutes: Double)] = []
        // The first step begins where the plan does, then as now.
        var before = (old: 0.0, new: 0.0)
        for step in outlook.way where !outlook.means[step].isNaN && !path[step].isNaN {
            let now = (old: Double(path[step]) + offset, new: Double(outlook.means[step]))
            let change = (now.new - now.old) - (before.new - before.old)
            before = now
            if abs(change) >= 0.5 { add(change, of: step, to: &changes, outlook) }
        }
        // It has become likelier to go another way, or less.
        let detour = Double(outlook.detourMinutes - (path.count > count ? path[count] : 0))
        if abs(detour) >= 0.5 { changes.append((Engine.atFork, detour)) }
        return rounded(changes, minutes, outlook, context)
    }

    /// Of a step ahead in which nobody has been seen nothing was learned: it is the one that lasts which moves it.
    private func add(
        _ change: Double, of step: Int, to changes: inout [(step: Int, minutes: Double)],
        _ outlook: Outlook
    ) {
        var step = step
        let way = outlook.ownWay
        if let next = outlook.expected.next, step > next,
            step < way.ids.count, !forecasting.pools.isSeen(way.ids[step]),
            outlook.told[step] == nil,
            !closureBook.isShut(
                outlook.chain[step], of: outlook.chain, after: next - 1, at: outlook.seenFrom)
        {
            step = next
        }
        if let known = changes.firstIndex(where: { $0.step == step }) {
            changes[known].minutes += change
        } else {
            changes.append((step, change))
        }
    }

    /// Stands for the step at which ways part.
    private static let atFork = -1

    private func causeAtFork(_ minutes: Int, _ outlook: Outlook) -> Cause {
        let reached = max((outlook.expected.next ?? outlook.chain.count) - 1, 0)
        let fork = outlook.others.first.map { $0.way.milestones[$0.after].place }
        return Cause(
            place: register.symbols[fork ?? outlook.chain[reached].place], minutes: minutes,
            kind: .route)
    }

    /// The first that is said of a journey that was seen off its way says so.
    func turned(_ outlook: Outlook, _ context: ReviewContext) -> [Cause] {
        outlook.turn.map { [cause($0, 0, outlook, context)] } ?? []
    }

    /// Whole minutes that add up: small parts, and what the median does not share with the mean, go
    /// to the largest.
    private func rounded(
        _ changes: [(step: Int, minutes: Double)], _ total: Int, _ outlook: Outlook,
        _ context: ReviewContext
    ) -> [Cause] {
        let sorted = changes.sorted {
            (abs($1.minutes), $0.step) < (abs($0.minutes), $1.step)
        }
        guard let largest = sorted.first else {
            return causes(outlook, context, minutes: total)
        }
        let floor = min(abs(largest.minutes), max(1, abs(largest.minutes) * 0.05))
        var parts = sorted.prefix(5).filter { abs($0.minutes) >= floor }
            .map { (step: $0.step, minutes: Int($0.minutes.rounded())) }
        parts[0].minutes += total - parts.reduce(0) { $0 + $1.minutes }
        // What a place does in several steps it does once.
        var causes: [Cause] = []
        for part in parts where part.minutes != 0 {
            let cause = cause(part.step, part.minutes, outlook, context)
            if let known = causes.firstIndex(where: {
                $0.place == cause.place && $0.kind == cause.kind
            }) {
                causes[known].minutes += cause.minutes
            } else {
                causes.append(cause)
            }
        }
        return causes.filter { $0.minutes != 0 }
    }

    /// The step that a change is laid on as a whole: the one just finished, or the one that lasts.
    func causes(_ outlook: Outlook, _ context: ReviewContext, minutes: Int) -> [Cause] {
        if minutes != 0, !outlook.isFirst, let turn = outlook.turn {
            return [cause(turn, minutes, outlook, context)]
        }
        // Of a journey that is over it was its end.
        let at = outlook.blamed ?? outlook.chain.count - 1
        guard minutes != 0, at >= 0, at < outlook.chain.count else { return [] }
        let own = cause(innocent(at, minutes, outlook) ?? at, minutes, outlook, context)
        // Where it waits is not to blame for a place ahead that is shut.
        if own.kind != .closure, minutes > 0, at >= outlook.expected.next ?? 0,
            !isByPlan(outlook, context), let window = shutAhead(outlook)
        {
            return [
                Cause(
                    place: register.symbols[window.place], minutes: minutes, kind: .closure,
                    reason: nil)
            ]
        }
        return [own]
    }

    /// Why a journey is late: of its steps the one that has lasted, or is expected to last, longest beyond what is
    /// usual. One that nobody has begun is to blame only for what others say of it, or a closure.
    mutating func lateCauses(
        _ outlook: Outlook, _ journey: Journey, _ context: ReviewContext, minutes: Int
    ) -> [Cause] {
        let known = causes(outlook, context, minutes: minutes)
        guard minutes > 0, outlook.graph == nil, !outlook.isFirst, let next = outlook.expected.next,
            let single = known.first, ![.closure, .route, .plan, .correction].contains(single.kind)
        else { return known }
        let way = outlook.ownWay
        guard way.milestones.count == outlook.chain.count, way.ids.count == outlook.chain.count
        else { return known }
        // What somebody is told to be waited for is what it waits for.
        let isSilent = journey.publication.alerts.contains {
            $0.type.isSilence && $0.phase != .closed && $0.phase != .pending && Int($0.at) == next
        }
        if isSilent { return [cause(next, minutes, outlook, context)] }
        var worst: (at: Int, excess: Double)?
        var began = -Double.infinity
        for at in outlook.chain.indices where !outlook.means[at].isNaN {
            // What may have been passed unheard is waited for until it is known.
            let ends = at == next ? max(Double(outlook.means[at]), 0) : Double(outlook.means[at])
            defer { began = ends }
            guard began > -.infinity, at <= next || outlook.told[at] != nil else { continue }
            let step = outlook.chain[at]
            let start = outlook.seenFrom.advanced(minutes: began)
            guard let usual = forecasting.pools.curve(step)?.quantile(0.5) else { continue }
            let excess =
                StepValue.observed(
                    step, start: start, end: outlook.seenFrom.advanced(minutes: ends)) - usual
            if excess > worst?.excess ?? 0 { worst = (at, excess) }
        }
        // Where nothing stands out its whole way does.
        guard let worst, worst.excess * 4 >= Double(minutes) else { return [] }
        var found = cause(worst.at, minutes, outlook, context)
        if worst.at >= next, outlook.isMoved(worst.at, by: Int(worst.excess)) {
            found = Cause(
                place: register.symbols[outlook.chain[worst.at].place], minutes: minutes,
                kind: .estimate, reason: nil)
        }
        found.isOver = worst.at < next
        return [found]
    }

    /// The milestones of the likeliest way, and when they are expected.
    func likely(_ outlook: Outlook) -> (chain: [Milestone], means: [Float]) {
        guard let most = likeliest(outlook.shares, outlook.others, outlook.ownWay),
            most < outlook.otherMeans.count, !outlook.otherMeans[most].isEmpty
        else { return (outlook.chain, outlook.means) }
        return (outlook.others[most].way.milestones, outlook.otherMeans[most])
    }

    /// A closure that the box will meet, by when it is expected where; nil: none is known.
    func shutAhead(_ outlook: Outlook) -> ClosureWindow? { closuresAhead(outlook).first }

    /// All of them, in the order in which it comes to them. `isNotice`: of what has no end nobody knows that it will
    /// be over by then.
    func closuresAhead(_ outlook: Outlook, isNotice: Bool = false) -> [ClosureWindow] {
        guard let next = outlook.expected.next, !closureBook.windows.isEmpty else { return [] }
        let (chain, means) = likely(outlook)
        guard means.count == chain.count else { return [] }
        let windows = closureBook.windows(along: chain, after: next - 1, now: outlook.seenFrom)
        if windows.isEmpty { return [] }
        var found: [ClosureWindow] = []
        for at in next..<chain.count where !means[at].isNaN {
            let ends = outlook.seenFrom.advanced(minutes: Double(means[at]))
            let began = at > next && !means[at - 1].isNaN ? means[at - 1] : 0
            let begins = outlook.seenFrom.advanced(minutes: Double(began))
            found += windows.filter {
                $0.holds(chain[at]) && $0.from <= ends
                    && ($0.until > begins || isNotice && $0.isOpenEnded)
            }
        }
        return found
    }

    /// Where a step that is over ended as planned, the one that lasts is to blame.
    private func innocent(_ at: Int, _ minutes: Int, _ outlook: Outlook) -> Int? {
        guard let next = outlook.expected.next, at < next, let late = outlook.lateness(at) else {
            return nil
        }
        return abs(late) * 2 < Double(abs(minutes)) ? next : nil
    }

    /// A plan says something else than before, be it some moments ago.
    private func isByPlan(_ outlook: Outlook, _ context: ReviewContext) -> Bool {
        context.touch?.hasNewPlan == true || outlook.reason == .plan || outlook.reason == .terms
    }

    /// Somebody expects something else than before.
    private func isByWord(_ outlook: Outlook, _ context: ReviewContext) -> Bool {
        context.touch?.isEstimate == true || outlook.reason == .estimate
    }

    private func cause(
        _ at: Int, _ minutes: Int, _ outlook: Outlook, _ context: ReviewContext
    ) -> Cause {
        if at == Engine.atFork { return causeAtFork(minutes, outlook) }
        let step = outlook.chain[at]
        let next = outlook.expected.next ?? outlook.chain.count
        let isClosed = closureBook.isShut(
            step, of: outlook.chain, after: next - 1, at: outlook.seenFrom)
        let kind: Cause.Kind
        if isByPlan(outlook, context) {
            kind = .plan
        } else if at == outlook.turn {
            kind = .route
        } else if isClosed && at >= next {
            kind = .closure
        } else if context.touch?.corrected == true {
            kind = .correction
        } else if isByWord(outlook, context), outlook.isMoved(at, by: minutes) {
            kind = .estimate
        } else if at > next {
            kind = .congestion
        } else if at == next && (step.kind == .dwell || context.isUnloaded) {
            kind = .queue
        } else {
            switch step.kind {
            case .departure: kind = .departure
            case .transit: kind = .transit
            case .dwell: kind = .dwell
            }
        }
        let isLeg = step.kind == .transit && kind != .queue
        let place = isLeg || kind == .route ? step.place : step.fromPlace
        return Cause(
            place: register.symbols[place], minutes: minutes, kind: kind,
            reason: at < next ? context.touch?.reason : nil)
    }
}

extension Outlook {
    /// Whether what others say of a milestone counts beside so many minutes: what it would be without that is known.
    /// Where one word takes the place of another it may be most of the change, and itself be little.
    fileprivate func isMoved(_ at: Int, by minutes: Int) -> Bool {
        guard let without = told[at], at < means.count, !means[at].isNaN else { return false }
        let moved = seenFrom.advanced(minutes: Double(means[at])).minutes(since: without)
        return abs(moved) * 5 >= abs(Double(minutes))
    }

    /// The steps from the plan's beginning to its end; where ways join, along the one that takes
    /// longest.
    var way: [Int] {
        guard let graph else { return Array(chain.indices) }
        func later(_ a: Int, _ b: Int) -> Bool {
            let (x, y) = (
                means[a].isNaN ? -.infinity : means[a], means[b].isNaN ? -.infinity : means[b]
            )
            return (x, a) < (y, b)
        }
        var way: [Int] = []
        var at = graph.ends.max(by: later)
        while let step = at {
            way.append(step)
            at = graph.before[step].max(by: later)
        }
        return way.reversed()
    }
}
