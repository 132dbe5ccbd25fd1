/// A consumer that an operator has enrolled: who it is, and what of the output it may read.
public struct EnrolledConsumer: Sendable, Equatable {
    public var name: String
    /// SHA-256 of its token; nil: only a certificate names it.
    public var tokenHash: [UInt8]?
    /// What its lines are about; an empty list leaves that question open.
    public var kinds: [String]
    public var places: [String]
    public var shipments: [String]
    public var posts: [String]
    public var isRevoked: Bool

    public init(
        name: String, tokenHash: [UInt8]? = nil, kinds: [String] = [], places: [String] = [],
        shipments: [String] = [], posts: [String] = [], isRevoked: Bool = false
    ) {
        self.name = name
        self.tokenHash = tokenHash
        self.kinds = kinds
        self.places = places
        self.shipments = shipments
        self.posts = posts
        self.isRevoked = isRevoked
    }
}

/// Where a consumer's place in the output is kept: names belong to whoever gave them.
public struct CursorName: Sendable, Hashable {
    /// The enrolled consumer; "": nobody in particular.
    public var consumer: String
    public var name: String

    public init(consumer: String = "", name: String) {
        self.consumer = consumer
        self.name = name
    }

    /// As people read it.
    public var text: String { consumer.isEmpty ? name : "\(consumer)/\(name)" }
}
