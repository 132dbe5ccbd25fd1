import Tracking

/// What a parent of alerts is about: a post, a place, a closure.
public struct IncidentKey: Hashable, Comparable, Sendable {
    public var type: AlertType
    /// A name as it is told: of a post, a place, a closure.
    public var subject: String

    public init(_ type: AlertType, _ subject: String) {
        self.type = type
        self.subject = subject
    }

    public static func < (a: IncidentKey, b: IncidentKey) -> Bool {
        (a.type.rawValue, a.subject) < (b.type.rawValue, b.subject)
    }
}

/// An alert that is not about one box, with the boxes that it concerns.
public struct Incident: Sendable, Equatable {
    public var key: IncidentKey
    /// Of a post its name; "": nobody in particular reports of that place.
    public var post: String
    public var place: String
    /// The last ones, of which the last may be open.
    public var episodes: [AlertEpisode] = []
    /// Boxes whose alerts it holds back, or which it delays.
    public var children: Set<ContainerNumber> = []
    /// How many more there are than are listed.
    public var uncounted = 0
    /// How many were told of.
    public var toldChildren = 0
    /// Since when it is so, and until when it was said to be.
    public var since: Instant
    public var until = Instant.never
    /// A post that was silent has begun to report again, and is thought to have told all then.
    public var backAt = Instant.unset
    public var quietAt = Instant.unset
    public var lookAt = Instant.never
    /// Of a clock.
    public var flaw: ClockTrail.Flaw?

    public init(_ key: IncidentKey, post: String, place: String, since: Instant) {
        self.key = key
        self.post = post
        self.place = place
        self.since = since
    }

    public var isOpen: Bool {
        episodes.last.map { $0.phase == .open || $0.phase == .clearing } ?? false
    }

    public var count: Int { children.count + uncounted }

    /// Boxes that are listed; more are counted.
    static let listed = 10_000
    /// Episodes that are remembered.
    static let remembered = 4

    public mutating func add(_ child: ContainerNumber) {
        if children.count < Incident.listed {
            children.insert(child)
        } else if !children.contains(child) {
            uncounted.countOn()
        }
    }

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
        NamedUUID.version5("\(key.type.code)|\(key.subject)|\(episode)")
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
        children = []
        uncounted = 0
        toldChildren = 0
        backAt = .unset
        quietAt = .unset
    }
}
