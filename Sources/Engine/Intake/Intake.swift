import Tracking

/// What the first stage knows: who may speak as whom, and what has come already.
struct Intake: Sendable {
    /// The posts that are enrolled, as of the log.
    var roster = Roster()
    /// Events may be known that were taken when an id was nobody's.
    var knowsUnowned = false
    /// How far each session stream has come.
    var marks = StreamMarks()
    /// Places that are spelled nearly like a text; no state, it follows from the network.
    var spellings: [String: [String]] = [:]
}
