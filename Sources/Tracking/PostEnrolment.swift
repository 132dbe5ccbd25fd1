/// What a post's enrolment decides about its lines: part of the log, so that a replay decides the same.
public struct PostEnrolment: Sendable, Equatable {
    public var name: String
    /// Places that it may report, as enrolled; `*`: every one.
    public var places: [String]
    /// On whose clock its times without offset are; nil: that of the place that they speak of.
    public var zone: ZoneRule?
    /// Sources in whose name it may speak beside its own.
    public var sources: [String]
    public var isRevoked: Bool
    /// It may acknowledge and silence alerts.
    public var mayOperate = false
    /// By what its times are to be corrected, in the order of their beginnings.
    public var corrections: [ClockCorrection] = []

    public init(
        name: String, places: [String] = [], zone: ZoneRule? = nil, sources: [String] = [],
        isRevoked: Bool = false
    ) {
        self.name = name
        self.places = places
        self.zone = zone
        self.sources = sources
        self.isRevoked = isRevoked
    }
}

extension PostEnrolment {
    /// What is to be added to a time that it stated; of several that concern it the latest.
    public func correction(of stated: Instant) -> Int {
        corrections.last { correction in
            correction.from <= stated && (correction.until.map { stated < $0 } ?? true)
        }?.minutes ?? 0
    }
}

/// Whole hours by which the times of a post were wrong.
public struct ClockCorrection: Sendable, Equatable {
    /// Added to what is stated.
    public var minutes: Int
    /// Times that it concerns, as they are stated; nil: from now on.
    public var from: Instant
    public var until: Instant?

    public init(minutes: Int, from: Instant, until: Instant?) {
        self.minutes = minutes
        self.from = from
        self.until = until
    }
}

/// The posts that are enrolled, as of the log.
public struct Roster: Sendable, Equatable {
    public private(set) var posts: [String: PostEnrolment] = [:]
    /// Names that are somebody's, by their spelling: of posts, and of sources that are granted.
    private var names: Set<String> = []

    public init() {}

    public subscript(name: String) -> PostEnrolment? { posts[name] }

    public var isEmpty: Bool { posts.isEmpty }

    /// Some post's times are set right.
    public private(set) var hasCorrections = false

    /// What is to be added to a time that a post stated.
    public func correction(_ post: String, of stated: Instant) -> Int {
        hasCorrections ? posts[post]?.correction(of: stated) ?? 0 : 0
    }

    /// In the order of their names.
    public var all: [PostEnrolment] { posts.values.sorted { $0.name < $1.name } }

    public mutating func put(_ post: PostEnrolment) {
        posts[post.name] = post
        hasCorrections = posts.values.contains { !$0.corrections.isEmpty }
        names = []
        for post in posts.values where !post.isRevoked {
            names.insert(Roster.key(post.name))
            for source in post.sources { names.insert(Roster.key(source)) }
        }
    }

    /// What tells two names apart: not case, spaces and letters that look alike.
    public static func key(_ name: String) -> String {
        PlaceSpelling.key(LookAlike.latin(name.uppercased()))
    }

    /// In whose name a line speaks.
    public enum Speaker: Sendable, Equatable {
        /// Its post, and what the post calls the source.
        case own(source: String?)
        /// A source that is granted to the post, and perhaps to others.
        case granted(String)
        /// A source that is somebody else's.
        case foreign(String)
    }

    /// `post`: "" for nobody in particular.
    public func speaker(post: String, source: String?) -> Speaker {
        guard let source, source != post else { return .own(source: nil) }
        if posts.isEmpty { return .own(source: source) }
        let key = Roster.key(source)
        if !post.isEmpty, key == Roster.key(post) { return .own(source: nil) }
        if let known = posts[post], !known.isRevoked,
            let meant = known.sources.first(where: { Roster.key($0) == key })
        {
            return .granted(meant)
        }
        return names.contains(key) ? .foreign(source) : .own(source: source)
    }
}
