import Tracking

/// One input of a batch as the log keeps it: enough to step the engine through it again.
public struct LogEntry: Sendable, Equatable {
    public enum Kind: UInt8, Sendable {
        /// A line of the feed, as it was sent.
        case line = 0
        /// A network file that came into force.
        case network = 1
        /// Alert rules that came into force.
        case rules = 2
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
    static let version: UInt8 = 1

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
    public static func read(_ bytes: [UInt8]) throws(CodingFlaw) -> [LogEntry] {
        var decoder = ByteDecoder(bytes)
        guard try decoder.byte() == LogBlobWriter.version else {
            throw CodingFlaw("a batch of a version that this program does not know")
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
            let origin = Int(try decoder.unsigned())
            guard origin < origins.count else { throw CodingFlaw("an origin beyond the list") }
            entries.append(
                LogEntry(kind: kind, origin: origins[origin], bytes: try decoder.blob()))
        }
        return entries
    }
}
