import Tracking

/// A post as its operator sees it: who it is, how it proves that, and what has come of it.
public struct PostOverview: Sendable {
    public var name: String
    /// Canonical ids of the places of which it may speak; `*`: all.
    public var places: [String]
    /// Else by a certificate.
    public var provesItselfByToken: Bool
    public var isRevoked: Bool
    public var connections: Int
    public var lines: Int
    public var forbidden: Int
    public var lastLine: Instant?
    /// By how much its clock runs ahead; nil: not known yet.
    public var clockAheadSeconds: Int?
    public var zone: String?
    public var sources: [String]
    /// It may acknowledge and silence alerts.
    public var mayOperate: Bool
    /// By what its times are to be corrected.
    public var corrections: [ClockCorrection] = []
}
