import Tracking

/// What a parent of alerts is about: a post, a place, a closure.
public struct IncidentKey: Hashable, Comparable, Sendable {
    public var type: AlertType
    /// A name as it is told: of a post, a place, a closure.
    public var subject: String
    /// It is the name of a post.
    public var isPost: Bool

    public init(_ type: AlertType, _ subject: String, isPost: Bool = false) {
        self.type = type
        self.subject = subject
        self.isPost = isPost
    }

    public static func < (a: IncidentKey, b: IncidentKey) -> Bool {
        (a.type.rawValue, a.subject, a.isPost ? 1 : 0)
            < (b.type.rawValue, b.subject, b.isPost ? 1 : 0)
    }
}

/// An alert that is not about one box, with the boxes that it concerns.
public struct Incident: Sendable, Equatable {
    public var key: IncidentKey
    /// Of a post its name; "": it is about a place.
    public var post: String { key.isPost ? key.subject : "" }
    public var place: String
    /// The last ones, of which the last may be open.
    public var episodes: [AlertEpisode] = []
    /// Boxes whose alerts it holds back, or which it delays.
    public var children: Set<ContainerNumber> = []
    /// How many were told of, and when.
    public var toldChildren = 0
    public var toldAt = Instant.unset
    /// Since when it is so, and until when it was said to be.
    public var since: Instant
    public var until = Instant.never
    /// Of a closure, what was told of that.
    public var toldSince = Instant.unset
    public var toldUntil = Instant.never
    /// A post that was silent has begun to report again, and is thought to have told all then.
    public var backAt = Instant.unset
    public var quietAt = Instant.unset
    public var lookAt = Instant.never
    /// Of a clock.
    public var flaw: ClockTrail.Flaw?

    public init(_ key: IncidentKey, place: String, since: Instant) {
        self.key = key
        self.place = place
        self.since = since
    }

    public var isOpen: Bool {
        episodes.last.map { $0.phase == .open || $0.phase == .clearing } ?? false
    }

    public var count: Int { children.count }

    /// Boxes that are counted at the most.
    public static let counted = 50_000
    /// Episodes that are remembered.
    static let remembered = 4

    public mutating func add(_ child: ContainerNumber) {
        if children.count < Incident.counted { children.insert(child) }
    }

    /// When it may be told that it has grown; `.never`: it has not.
    public var nextTelling: Instant {
        isGrown ? toldAt.advanced(minutes: Incident.growthMinutes) : .never
    }

    /// A closure begins or ends so much earlier or later than was told that it is news.
    public var isAmended: Bool {
        func differ(_ a: Instant, _ b: Instant) -> Bool {
            (a == .never) != (b == .never)
                || a != .never && abs(a.minutes(since: b)) >= Incident.growthMinutes
        }
        return key.type == .closure && isOpen && toldAt != .unset
            && (differ(since, toldSince) || differ(until, toldUntil))
    }

    /// It has been told as it is now.
    public mutating func noteTold(_ now: Instant) {
        toldChildren = count
        toldAt = now
        toldSince = since
        toldUntil = until
    }

    /// That it grows is told so often at the most.
    static let growthMinutes = 60.0

    /// It has grown so much that it is news: 1, 2, 5, 10, 20, 50, …
    public var isGrown: Bool { Incident.step(count) > Incident.step(toldChildren) }

    private static func step(_ count: Int) -> Int {
        var (step, unit) = (0, 1)
        while unit <= count, unit < 1_000_000_000 {
            step = [1, 2, 5].reduce(step) { $1 * unit <= count ? $1 * unit : $0 }
            unit *= 10
        }
        return step
    }

    /// The stable identity on the wire of an episode.
    public static func identity(_ key: IncidentKey, _ episode: UInt32) -> String {
        NamedUUID.version5(
            "\(key.type.code)|\(key.isPost ? "post" : "")|\(key.subject)|\(episode)")
    }

    public var nextEpisode: UInt32 {
        var next = episodes.last?.episode ?? 0
        next.countOn()
        return next
    }

    /// The name of the episode that is open, or that would begin now.
    public var identity: String {
        Incident.identity(key, isOpen ? episodes.last?.episode ?? 1 : nextEpisode)
    }

    public mutating func begin(_ episode: AlertEpisode) {
        episodes.append(episode)
        if episodes.count > Incident.remembered { episodes.removeFirst() }
        toldChildren = 0
        backAt = .unset
        quietAt = .unset
    }
}
