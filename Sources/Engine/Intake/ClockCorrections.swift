import Alerting
import Tracking

/// Boxes of which reports are to be set right, in the order of their numbers.
struct Correcting: Sendable {
    /// The next last, once it is sorted.
    private var boxes: [ContainerNumber] = []
    private var isSorted = true
    /// Symbols of the posts that have a correction.
    var posts: Set<UInt32> = []
    /// At once, by the clock of the step that began it.
    var since = Instant.unset

    var dueAt: Instant { boxes.isEmpty ? .never : since }

    mutating func insert(_ box: ContainerNumber) {
        boxes.append(box)
        isSorted = false
    }

    mutating func begin(_ all: [ContainerNumber]) {
        boxes = all
        isSorted = false
    }

    mutating func next() -> ContainerNumber? {
        if !isSorted {
            boxes.sort(by: >)
            isSorted = true
        }
        return boxes.popLast()
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
        where event.correctedMinutes != 0 || correcting.posts.contains(event.post) {
            var event = event
            if event.align(corrections) { return true }
        }
        return false
    }

    /// Which posts have a correction, as of the roster.
    mutating func noteCorrected() {
        let names = intake.roster.all.filter { !$0.corrections.isEmpty }.map(\.name)
        correcting.posts = Set(names.map { register.symbols.number($0) })
    }

    mutating func beginCorrecting(_ posts: Set<UInt32>, _ draft: inout Draft) {
        if posts.isEmpty { return }
        noteCorrected()
        // All that are not as they should be: also of what was begun before and is meant otherwise now.
        correcting.begin(
            register.slots.filter { isMisaligned(register.records[$0.value]) }.map(\.key))
        correcting.since = draft.now
        for post in posts {
            // What its clock showed before says nothing of what is corrected.
            let key = Reporters.Key(post: post, place: 0)
            if let slot = reporters.slot(of: key) { reporters.forgetClock(slot) }
            let incident = IncidentKey(.postClock, register.symbols[post], isPost: true)
            draft.corrected.insert(register.symbols[post])
            if alertBook.incidents[incident]?.isOpen == true { draft.incidents.append(incident) }
        }
    }

    /// Boxes that are set right in one step: the feed goes on in between.
    static let correctedAtOnce = 1_000

    mutating func correctSome(_ draft: inout Draft) {
        correcting.since = draft.now
        let corrections = corrections
        var left = Engine.correctedAtOnce
        while left > 0, let box = correcting.next() {
            draft.timersFired = true
            guard let slot = register.slots[box],
                register.records[slot].history.align(corrections)
            else { continue }
            left -= 1
            register.dirtyRecords.insert(slot)
            draft.touch(slot) { $0.corrected = true }
        }
    }
}
