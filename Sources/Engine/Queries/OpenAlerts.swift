import Tracking

/// Alerts that are open, counted by what they are about and how bad it is.
public struct OpenAlerts: Sendable, Equatable {
    private var counts = [Int](
        repeating: 0, count: AlertType.allCases.count * Severity.allCases.count)

    public init() {}

    public subscript(type: AlertType, severity: Severity) -> Int {
        get { counts[OpenAlerts.index(type, severity)] }
        set { counts[OpenAlerts.index(type, severity)] = newValue }
    }

    private static func index(_ type: AlertType, _ severity: Severity) -> Int {
        Int(type.rawValue) * Severity.allCases.count + Int(severity.rawValue)
    }
}

extension Engine {
    /// The alerts of all containers in memory; whoever has one open is.
    public var alertCounts: OpenAlerts {
        var open = OpenAlerts()
        for record in register.records {
            for journey in record.journeys {
                for alert in journey.publication.alerts
                where alert.phase == .open || alert.phase == .clearing {
                    open[alert.type, alert.severity] += 1
                }
            }
        }
        return open
    }
}
