import Alerting
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
    /// The alerts of all containers in memory, of a convoy one; whoever has one open is. And incidents.
    public var alertCounts: OpenAlerts {
        var open = OpenAlerts()
        var convoys: Set<UInt64> = []
        for incident in alertBook.incidents.values where incident.isOpen {
            guard let episode = incident.episodes.last else { continue }
            open[episode.type, episode.severity] += 1
        }
        for record in register.records {
            for journey in record.journeys {
                for alert in journey.publication.alerts
                where alert.phase == .open || alert.phase == .clearing {
                    if let convoy = alert.convoy, !convoys.insert(convoy.id).inserted { continue }
                    open[alert.type, alert.severity] += 1
                }
            }
        }
        return open
    }
}
