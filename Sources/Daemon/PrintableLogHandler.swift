import Logging
import Wire

/// Strangers' words in the log, such as the name in a refused hello, act on nothing that shows it, and
/// begin no lines of their own.
public struct PrintableLogHandler: LogHandler {
    private var inner: any LogHandler

    public init(_ inner: any LogHandler) { self.inner = inner }

    public var logLevel: Logger.Level {
        get { inner.logLevel }
        set { inner.logLevel = newValue }
    }

    public var metadata: Logger.Metadata {
        get { inner.metadata }
        set { inner.metadata = newValue }
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { inner[metadataKey: key] }
        set { inner[metadataKey: key] = newValue.map(PrintableLogHandler.clean) }
    }

    public func log(event: LogEvent) {
        var clean = event
        clean.message = "\(Printable.text(event.message.description))"
        clean.metadata = event.metadata?.mapValues(PrintableLogHandler.clean)
        inner.log(event: clean)
    }

    private static func clean(_ value: Logger.Metadata.Value) -> Logger.Metadata.Value {
        switch value {
        case .string(let text): .string(Printable.text(text))
        case .stringConvertible(let value): .string(Printable.text(value.description))
        case .array(let values): .array(values.map(clean))
        case .dictionary(let values): .dictionary(values.mapValues(clean))
        }
    }
}
