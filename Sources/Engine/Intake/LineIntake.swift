import Log
import Tracking
import Wire

/// What a line says: is it new, may its sender say it, what becomes of it.
extension Engine {
    mutating func decide(_ chunk: FeedChunk, _ draft: inout Draft) {
        var reply = SourceReply(source: chunk.source, ack: 0, rejects: [])
        if chunk.meaning < .meant, !intake.knowsUnowned {
            intake.knowsUnowned = true
            configDirty = true
        }
        chunk.bytes.withUnsafeBufferPointer { bytes in
            for line in chunk.lines {
                reply.ack = line.number
                decide(
                    line, UnsafeBufferPointer(rebasing: bytes[line.range]), chunk, &reply, &draft)
                lookAtHistory(&draft)
            }
        }
        if reply.ack > 0 { draft.replies.append(reply) }
    }

    mutating func decide(
        _ line: ParsedLine, _ bytes: UnsafeBufferPointer<UInt8>, _ chunk: FeedChunk,
        _ reply: inout SourceReply, _ draft: inout Draft
    ) {
        let verdict: Verdict
        switch line.value {
        case .hello, .ping, .bye, .empty: return
        default: break
        }
        let again = isBehindMark(line.seq, chunk.origin, &draft)
        switch line.value {
        case _ where again: verdict = judgeAgain(line, chunk, draft.now)
        case .event(let event): verdict = record(event, line, bytes, chunk, &reply, &draft)
        case .plan(let plan): verdict = enact(plan, line, bytes, chunk, &reply, &draft)
        case .closure(let closure): verdict = enact(closure, line, bytes, chunk, &reply, &draft)
        case .acknowledgement(let seen):
            verdict = acknowledge(seen, line, bytes, chunk, &reply, &draft)
        case .silence(let silence):
            verdict = enact(silence, line, bytes, chunk, &reply, &draft)
        case .reject(let reject): verdict = .refused(reject)
        case .hello, .ping, .bye, .empty: return
        }
        draft.counts.received += 1
        switch verdict {
        case .stored: draft.counts.stored += 1
        case .duplicate:
            draft.counts.duplicate += 1
            reply.idle.append(line.number)
        case .refused(let plain):
            let reject = withCandidates(plain, bytes)
            reply.idle.append(line.number)
            draft.quarantine(reject, line, bytes, chunk.origin)
            if reject.code == .forbidden { reply.forbidden += 1 }
            var out = JSONWriter()
            Reply.reject(line.number, reject, to: &out)
            reply.rejects += out.bytes
        }
    }

    /// In a session: whether the stream has passed this number already; else moves its mark.
    mutating func isBehindMark(
        _ seq: Int64?, _ origin: Origin, _ draft: inout Draft
    ) -> Bool {
        guard !origin.stream.isEmpty, let seq else { return false }
        if let mark = intake.marks[origin], seq <= mark { return true }
        intake.marks.move(origin, to: seq)
        draft.mark(origin, seq)
        return false
    }

    /// A line whose number the stream has passed: a duplicate where it says what is known, a
    /// conflict where the number was given to something else.
    mutating func judgeAgain(_ line: ParsedLine, _ chunk: FeedChunk, _ now: Instant) -> Verdict {
        let isKnown: Bool
        switch line.value {
        case .event(let event):
            let read = read(event, chunk)
            let named = identity(of: read, chunk)
            isKnown =
                register.slots[event.container].map {
                    register.records[$0].history.recognises(
                        named.identity, content: event.content,
                        updated: read.event.updated ?? .unset)
                } ?? false
        case .plan(let plan):
            let version = PlanVersion(timed(plan, chunk).plan, network)
            let known = register.lastVersion(of: plan.shipment)
            isKnown =
                known.map {
                    $0.version.isSame(as: version) || version.updated < $0.version.updated
                        || $0.earlier.contains { $0.isSame(as: version) }
                } ?? false
        case .closure(let closure):
            let version = PlanVersion(timed(closure, chunk).closure)
            let known = closureBook.closures[closure.id]?.version
            isKnown =
                known.map { $0.isSame(as: version) || version.updated < $0.updated } ?? false
        case .acknowledgement(let seen): isKnown = self.isKnown(seen)
        case .silence(let silence): isKnown = self.isKnown(silence)
        // What it said then could not be read either.
        default: isKnown = true
        }
        if isKnown || isRefusedAnyway(line, chunk, now) { return .duplicate }
        return .refused(
            LineReject(
                .conflict, field: "seq",
                detail: "seq \(line.seq ?? 0) of this stream was given to another line"))
    }

    /// Whether a line would be refused now as it was then, so that its second copy says nothing new.
    mutating func isRefusedAnyway(_ line: ParsedLine, _ chunk: FeedChunk, _ now: Instant) -> Bool {
        switch line.value {
        case .event(let event):
            let read = read(event, chunk)
            let identity = identity(of: read, chunk).identity
            return untimely(read.event, at: corrected(read.event, chunk), now) != nil
                || ahead(read.event.updated, chunk, now) != nil
                || foreign(read.event, chunk) != nil
                || authorize(read, identity, chunk) != nil
                || exceedsLimit(read.event, identity) != nil
        case .plan(let plan):
            let plan = timed(plan, chunk).plan
            // What was unknown then changed nothing, though it be known now.
            let isIdle =
                plan.retract
                && (plan.updated == nil || register.lastVersion(of: plan.shipment) == nil)
            return authorize(plan, chunk) != nil || exceedsLimit(plan) != nil
                || backwards(plan) != nil || ahead(plan.updated, chunk, now) != nil
                || isIdle
        case .closure(let closure):
            // What was unknown then changed nothing.
            let isIdle =
                closure.retract && closure.place.isEmpty
                && (closure.updated == nil || closureBook.closures[closure.id] == nil)
            let read = timed(closure, chunk).closure
            return isIdle || authorize(closure, chunk) != nil
                || exceedsLimit(closure, chunk, now) != nil
                || ahead(read.updated, chunk, now) != nil || endsBeforeItBegins(read, chunk) != nil
        default: return false
        }
    }
}
