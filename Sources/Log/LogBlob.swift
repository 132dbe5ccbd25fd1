import Tracking

/// By which meaning a batch's lines were read. What a line says may be understood better by a later
/// version; what has been decided stands, so a replay reads each batch as it was read then.
public enum Meaning: UInt8, Sendable, Comparable, CaseIterable {
    /// Until schema 3: any text could be an identifier, and a plan could cost any amount of work.
    case first = 1
    /// From schema 4 on: identifiers hold no control characters, and a plan has a budget. Only the
    /// feed refuses by that; a log that took such lines keeps them.
    case bounded = 2
    /// From schema 5 on: an id belongs to its sender, times without offset are on the clock of the post
    /// or the place also in plans and closures, and what is nonsense is refused.
    case meant = 3
    /// Where a box is is what was reported, on the plan's way or off it; what is history says one word.
    case evidence = 4
    /// Silence is told where it is worth a person's attention, and an arrival where holding on to what was
    /// said would cost; operators speak of alerts.
    case attention = 5
    /// Posts that fall silent, clocks that are wrong and closures are alerts of their own.
    case incidents = 6
    /// A handover parts legs as a join does; what timetables, beginnings and paces tell counts as far as it
    /// was found to.
    case views = 7
    /// What others say of milestones ahead counts by its record, and PLN sets a planned time anew.
    case estimates = 8
    /// A step is measured by what was planned when it began, whatever its plan says later; a milestone may
    /// have been passed without a word.
    case restated = 9
    /// Where ways part, what is expected is a mixture of those that boxes take.
    case ways = 10
    /// A box without a plan goes on as others did, and how it went the last few times counts as far as it
    /// has been proved.
    case onward = 11
    /// What a kind of step does anywhere is told in proportion to what is expected of each; a guess of the next
    /// place says by how many boxes, and leads nowhere where the box could have gone sooner.
    case scaled = 12
    /// A box that nothing is heard of is looked at when its silence can have moved its end; reports under names that
    /// nobody planned count, and closures of what is only passed.
    case patient = 13
    /// A plan can be taken back, and no version is from the future; boxes of several modes are no train.
    case retractable = 14
    /// What a plan names lies on its way, also off the network's quickest; what lasts is to blame, a box that is
    /// stripped is done, and another end or promise is said.
    case named = 15
    /// An arrival counts when it is stated, whenever the box left; what is sent again may be what is ahead alone, and
    /// what lies on the way between two milestones of a plan, a paper, a fetched box leads nowhere else.
    case dated = 16
    /// A plan that does not say when begins where its box comes to its first place; silence is to blame for what it
    /// alone has moved, and lateness the step that stands out; timetables behind joins may move until it is known.
    case blamed = 17
    /// Ships and trains depart without what was unloaded from them; a trip is over where the next begins; two plans
    /// that begin together are of one trip; what lies between places that nobody knows is compared all the same.
    case aboard = 18

    public static let current = Meaning.aboard

    public static func < (a: Meaning, b: Meaning) -> Bool { a.rawValue < b.rawValue }
}

/// One input of a batch as the log keeps it: enough to step the engine through it again.
public struct LogEntry: Sendable, Equatable {
    public enum Kind: UInt8, Sendable {
        /// A line of the feed, as it was sent.
        case line = 0
        /// A network file that came into force.
        case network = 1
        /// Alert rules that came into force.
        case rules = 2
        /// What the enrolment of some posts says from here on.
        case posts = 3
    }

    public var kind: Kind
    public var origin: Origin
    public var bytes: [UInt8]

    public init(kind: Kind, origin: Origin = Origin(), bytes: [UInt8]) {
        self.kind = kind
        self.origin = origin
        self.bytes = bytes
    }
}

/// Writes a batch's entries as one run of bytes.
public struct LogBlobWriter: Sendable {
    /// Version 1 did not state the meaning: it was the first.
    static let version: UInt8 = 2

    private var body = ByteEncoder()
    private var origins: [Origin] = []
    private var lastOrigin = -1
    public private(set) var count = 0

    public init() {}

    /// Appends an entry and returns its index in the batch.
    public mutating func append(
        _ kind: LogEntry.Kind, _ origin: Origin, _ bytes: UnsafeBufferPointer<UInt8>
    ) -> Int {
        if lastOrigin < 0 || origins[lastOrigin] != origin {
            lastOrigin = origins.firstIndex(of: origin) ?? origins.count
            if lastOrigin == origins.count { origins.append(origin) }
        }
        body.byte(kind.rawValue)
        body.count(lastOrigin)
        body.count(bytes.count)
        body.bytes.append(contentsOf: bytes)
        count += 1
        return count - 1
    }

    public func finished() -> [UInt8] {
        var out = ByteEncoder()
        out.bytes.reserveCapacity(body.bytes.count + 64)
        out.byte(LogBlobWriter.version)
        out.byte(Meaning.current.rawValue)
        out.count(origins.count)
        for origin in origins {
            out.text(origin.post)
            out.text(origin.stream)
        }
        out.count(count)
        out.bytes.append(contentsOf: body.bytes)
        return out.bytes
    }
}

/// Reads a batch's entries back.
public enum LogBlob {
    /// The entries, and by which meaning they were read.
    public static func read(
        _ bytes: [UInt8]
    ) throws(CodingFlaw) -> (meaning: Meaning, entries: [LogEntry]) {
        var decoder = ByteDecoder(bytes)
        let version = try decoder.byte()
        try FormatVersion.check(version, "a batch", oldest: 1, newest: LogBlobWriter.version)
        var meaning = Meaning.first
        if version > 1 {
            let stated = try decoder.byte()
            guard let known = Meaning(rawValue: stated) else {
                throw CodingFlaw(
                    "a batch was read by meaning \(stated), and this program knows up to "
                        + "\(Meaning.current.rawValue): a later version of Caravan wrote it; "
                        + "install that or a newer one")
            }
            meaning = known
        }
        var origins: [Origin] = []
        for _ in 0..<(try decoder.count()) {
            origins.append(Origin(post: try decoder.text(), stream: try decoder.text()))
        }
        var entries: [LogEntry] = []
        for _ in 0..<(try decoder.count()) {
            guard let kind = LogEntry.Kind(rawValue: try decoder.byte()) else {
                throw CodingFlaw("an entry of unknown kind")
            }
            let origin = try decoder.number()
            guard origin < origins.count else { throw CodingFlaw("an origin beyond the list") }
            entries.append(
                LogEntry(kind: kind, origin: origins[origin], bytes: try decoder.blob()))
        }
        return (meaning, entries)
    }
}
