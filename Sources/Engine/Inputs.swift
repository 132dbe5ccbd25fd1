import Log
import Tracking
import Wire

/// One line of a chunk: where its bytes are, and what they say.
public struct ParsedLine: Sendable {
    /// Counts the connection's lines from 1.
    public var number: Int
    /// In the chunk's bytes; of a line over the limit, its head.
    public var range: Range<Int>
    public var value: FeedLine
    /// In a session: its place in the stream.
    public var seq: Int64?
    /// Of a line over the limit: its whole length and hash.
    public var oversize: Oversize?

    public struct Oversize: Sendable, Equatable {
        public var length: Int
        public var hash: UInt64

        public init(length: Int, hash: UInt64) {
            self.length = length
            self.hash = hash
        }
    }

    public init(
        number: Int, range: Range<Int>, value: FeedLine, seq: Int64? = nil,
        oversize: Oversize? = nil
    ) {
        self.seq = seq
        self.number = number
        self.range = range
        self.value = value
        self.oversize = oversize
    }
}

/// What one connection read at one time, parsed where it was read.
public struct FeedChunk: Sendable {
    /// The server's number of the connection, for the replies.
    public var source: Int
    public var origin: Origin
    /// The places of which this sender may speak, as canonical ids; nil: of all.
    public var scope: Set<String>?
    /// By which meaning the lines are read: what a log holds, by that of its time.
    public var meaning = Meaning.current
    /// The lines come from the log: they were taken, and nobody waits for a word about them.
    public var isLogged = false
    public var bytes: [UInt8]
    public var lines: [ParsedLine]

    public init(
        source: Int, origin: Origin, scope: Set<String>? = nil, bytes: [UInt8] = [],
        lines: [ParsedLine] = []
    ) {
        self.scope = scope
        self.source = source
        self.origin = origin
        self.bytes = bytes
        self.lines = lines
    }

    /// A chunk of whole lines, parsed here; for simulation, replay and tests.
    public init(source: Int, origin: Origin, text: [UInt8], parser: FeedParser, first: Int = 1) {
        self.init(source: source, origin: origin, bytes: text)
        var at = 0
        var number = first
        while at < text.count {
            var end = at
            while end < text.count, text[end] != 0x0A { end += 1 }
            let range = at..<end
            let value = text.withUnsafeBufferPointer {
                parser.parse(UnsafeBufferPointer(rebasing: $0[range]))
            }
            lines.append(
                ParsedLine(
                    number: number, range: range, value: value,
                    seq: origin.stream.isEmpty ? nil : value.seq))
            number += 1
            at = end + 1
        }
    }
}

/// A setting that came into force: part of the log, because it changes decisions.
public enum ConfigChange: Sendable {
    case network(LoadedNetwork)
    case rules(AlertRules)
    /// Posts as they are enrolled now; those that are as before change nothing.
    case posts([PostEnrolment])
}

/// What one connection is told once the batch is durable.
public struct SourceReply: Sendable, Equatable {
    public var source: Int
    /// The number of the last line that the batch covers.
    public var ack: Int
    /// Reject lines, ready to send, in order.
    public var rejects: [UInt8]
    /// Lines of events that changed nothing: refused, known already, or behind a later version.
    public var idle: [Int] = []
    /// What was assumed of lines that are stored, each assumption once.
    public var warnings: [LineWarning] = []
    /// Of the rejects, lines about what the sender may not speak of.
    public var forbidden = 0
}

/// A note, and the line that it is about.
public struct LineWarning: Sendable, Equatable {
    public var line: Int
    public var note: LineNote

    public init(line: Int, note: LineNote) {
        self.line = line
        self.note = note
    }
}

/// An event as it is stored.
public struct EventRow: Sendable {
    public var event: TrackingEvent
    /// Canonical place id.
    public var place: String
    public var line: Int
    public var post: String
    /// Where the line came from, should the database refuse it.
    public var source: Int
    public var number: Int
}

/// A refused line as it is kept.
public struct QuarantineRow: Sendable, Equatable {
    public var item: Int
    public var origin: Origin
    public var reject: LineReject
    public var bytes: [UInt8]
    public var length: Int
    public var hash: UInt64?

    /// Leaves nothing but the bytes and the code, for a database that takes none of the words; false
    /// where there was more than that, true where it was so plain already.
    public mutating func makePlain() -> Bool {
        let plain = LineReject(reject.code, detail: "the database takes no words about it")
        let isPlain = reject == plain && origin == Origin()
        reject = plain
        origin = Origin()
        return isPlain
    }
}

/// One transaction: everything that a step appends to the log.
public struct Commit: Sendable {
    public var batch: Int
    /// The engine's time of the step.
    public var now: Instant
    /// The inputs, as `LogBlob` reads them.
    public var blob: [UInt8]
    public var entries: Int
    public var events: [EventRow]
    public var quarantined: [QuarantineRow]
    /// What is said, not yet as bytes; its numbers end with `lastSeq`.
    public let said: [OutputEvent]
    private var rendered: [OutputLine]?
    public var marks: [StreamMark]
    /// The last output number after this batch.
    public var lastSeq: Int
    /// Outputs, by their index, that the database takes in no form: their numbers stay empty there.
    public var unstored: Set<Int> = []

    public init(
        batch: Int, now: Instant, blob: [UInt8], entries: Int, events: [EventRow] = [],
        quarantined: [QuarantineRow] = [], said: [OutputEvent] = [], marks: [StreamMark] = [],
        lastSeq: Int
    ) {
        self.batch = batch
        self.now = now
        self.blob = blob
        self.entries = entries
        self.events = events
        self.quarantined = quarantined
        self.said = said
        self.marks = marks
        self.lastSeq = lastSeq
    }

    /// The output as it goes to the database and to everybody.
    public var outputs: [OutputLine] {
        get { rendered ?? said.enumerated().map { OutputLine(seq: firstSeq + $0, $1) } }
        set { rendered = newValue }
    }

    private var firstSeq: Int { lastSeq - said.count + 1 }

    /// Makes bytes of what is said, once for all that use them.
    public mutating func render() { rendered = outputs }
}

/// How far one session stream has come.
public struct StreamMark: Sendable, Equatable {
    public var origin: Origin
    public var seq: Int64
    /// The batch that moved it last; 0 while that is being made.
    public var batch: Int

    public init(origin: Origin, seq: Int64, batch: Int = 0) {
        self.origin = origin
        self.seq = seq
        self.batch = batch
    }
}

/// Every line is exactly one of stored, duplicate, quarantined.
public struct LineCounts: Sendable, Equatable {
    public var received = 0
    public var stored = 0
    public var duplicate = 0
    public var quarantined = 0

    public init() {}

    public static func += (a: inout LineCounts, b: LineCounts) {
        a.received += b.received
        a.stored += b.stored
        a.duplicate += b.duplicate
        a.quarantined += b.quarantined
    }
}

/// What a step asks of the world: first the commit, then, once it is durable, the replies.
public struct Effects: Sendable {
    /// nil: nothing to write (only duplicates, or nothing at all).
    public var commit: Commit?
    public var replies: [SourceReply] = []
    public var counts = LineCounts()
    /// Refusals by code.
    public var refused: [LineReject.Code: Int] = [:]
    /// Stored lines by what was assumed of them.
    public var warned: [LineNote.Code: Int] = [:]

    public init() {}
}
