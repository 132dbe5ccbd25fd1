/// Who sent a line, as far as that is known.
public struct Origin: Hashable, Sendable {
    /// "" where the sender is bare and no certificate names it.
    public var post: String
    /// The spool's own id in a session; "" outside one.
    public var stream: String

    public init(post: String = "", stream: String = "") {
        self.post = post
        self.stream = stream
    }
}
