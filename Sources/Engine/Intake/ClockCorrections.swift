import Alerting
import Tracking

/// Boxes of which reports are to be set right, in the order of their numbers.
struct Correcting: Sendable {
    private(set) var boxes: Set<ContainerNumber> = []
    /// At once, by the clock of the step that began it.
    var since = Instant.unset

    var dueAt: Instant { boxes.isEmpty ? .never : since }

    mutating func insert(_ box: ContainerNumber) { boxes.insert(box) }

    mutating func take(_ limit: Int) -> [ContainerNumber] {
        if boxes.isEmpty { return [] }
        let taken = boxes.sorted().prefix(limit)
        for box in taken { boxes.remove(box) }
        return Array(taken)
    }
}

/// Posts whose clocks were wrong by whole hours: what they said is set right, and back where that is taken
/// back. A record says of each report what was added to its time, so that a correction is a function of
/// the roster, whatever came first.
extension Engine {
    /// What is to be added to a time that a post stated.
    private var corrections: (_ post: UInt32, _ stated: Instant) -> Int {
        { [roster = intake.roster, symbols = register.symbols] post, stated in
            roster.correction(symbols[post], of: stated)
        }
    }

    func isMisaligned(_ record: borrowing ContainerRecord) -> Bool {
        for event in record.history.events
        where event.correctedMinutes != 0 || intake.roster.hasCorrections && event.post != 0 {
            var event = event
            if event.align(corrections) { return true }
        }
        return false
    }

    mutating func beginCorrecting(_ posts: Set<UInt32>, _ draft: inout Draft) {
        if posts.isEmpty { return }
        for (box, slot) in register.slots
        where register.records[slot].history.events.contains(where: { posts.contains($0.post) }) {
            if isMisaligned(register.records[slot]) { correcting.insert(box) }
        }
        correcting.since = draft.now
        for post in posts {
            // What its clock showed before says nothing of what is corrected.
            let key = Reporters.Key(post: post, place: 0)
            if let slot = reporters.slot(of: key) { reporters.forgetClock(slot) }
            let incident = IncidentKey(.postClock, register.symbols[post])
            if alertBook.incidents[incident]?.isOpen == true { draft.incidents.append(incident) }
        }
    }

    /// Boxes that are set right in one step: the feed goes on in between.
    static let correctedAtOnce = 1_000

    mutating func correctSome(_ draft: inout Draft) {
        correcting.since = draft.now
        let corrections = corrections
        for box in correcting.take(Engine.correctedAtOnce) {
            draft.timersFired = true
            guard let slot = register.slots[box],
                register.records[slot].history.align(corrections)
            else { continue }
            register.dirtyRecords.insert(slot)
            draft.touch(slot) { $0.corrected = true }
        }
    }
}
