/// A DCSA event code: what happened to the container at a place.
public enum EventCode: UInt8, CaseIterable, Sendable {
    case arri, depa, gtin, gtot, load, disc, cros, cuss, cusi, cusr
    case insp, rmvd, rsea, pick, drop, stuf, strp

    /// The four letters on the wire.
    public var code: String {
        switch self {
        case .arri: "ARRI"
        case .depa: "DEPA"
        case .gtin: "GTIN"
        case .gtot: "GTOT"
        case .load: "LOAD"
        case .disc: "DISC"
        case .cros: "CROS"
        case .cuss: "CUSS"
        case .cusi: "CUSI"
        case .cusr: "CUSR"
        case .insp: "INSP"
        case .rmvd: "RMVD"
        case .rsea: "RSEA"
        case .pick: "PICK"
        case .drop: "DROP"
        case .stuf: "STUF"
        case .strp: "STRP"
        }
    }

    /// The DCSA 3 word that is a synonym on the wire.
    public var word: String {
        switch self {
        case .arri: "ARRIVED"
        case .depa: "DEPARTED"
        case .gtin: "GATED_IN"
        case .gtot: "GATED_OUT"
        case .load: "LOADED"
        case .disc: "DISCHARGED"
        case .cros: "CROSSED"
        case .cuss: "CUSTOMS_SELECTED_FOR_SCAN"
        case .cusi: "CUSTOMS_SELECTED_FOR_INSPECTION"
        case .cusr: "CUSTOMS_RELEASED"
        case .insp: "INSPECTED"
        case .rmvd: "SEAL_REMOVED"
        case .rsea: "RESEALED"
        case .pick: "PICKED_UP"
        case .drop: "DROPPED_OFF"
        case .stuf: "STUFFED"
        case .strp: "STRIPPED"
        }
    }

    /// Plain words for people.
    public var prose: String {
        switch self {
        case .arri: "arrived at"
        case .depa: "departed from"
        case .gtin: "gated in at"
        case .gtot: "gated out of"
        case .load: "loaded at"
        case .disc: "discharged at"
        case .cros: "crossed the border at"
        case .cuss: "picked for a scan at"
        case .cusi: "picked for inspection at"
        case .cusr: "released by customs at"
        case .insp: "inspected at"
        case .rmvd: "seal removed at"
        case .rsea: "resealed at"
        case .pick: "picked up at"
        case .drop: "dropped off at"
        case .stuf: "stuffed at"
        case .strp: "stripped at"
        }
    }

    /// Codes that say that the container has come to the place.
    @inlinable public var isArrival: Bool {
        switch self {
        case .arri, .gtin, .disc, .drop: true
        default: false
        }
    }

    /// Codes that say, where its way ends, that it has what it came for: stripped, or fetched.
    var endsStay: Bool { self == .strp || self == .pick }

    /// Codes that say that it has left.
    @inlinable public var isDeparture: Bool {
        switch self {
        case .depa, .gtot, .load, .pick: true
        default: false
        }
    }
}

/// ACT: it happened; EST: somebody expects it; PLN: it was planned so.
public enum EventClass: UInt8, CaseIterable, Sendable {
    case act, est, pln

    public var code: String {
        switch self {
        case .act: "ACT"
        case .est: "EST"
        case .pln: "PLN"
        }
    }
}

/// How the container moves on a leg.
public enum TransportMode: UInt8, CaseIterable, Sendable {
    case unknown, rail, road, sea, barge, air

    public var code: String {
        switch self {
        case .unknown: ""
        case .rail: "RAIL"
        case .road: "ROAD"
        case .sea: "SEA"
        case .barge: "BARGE"
        case .air: "AIR"
        }
    }

    /// Reads a wire code or its synonym (TRUCK, VESSEL).
    public init?(code: String) {
        switch code {
        case "RAIL": self = .rail
        case "ROAD", "TRUCK": self = .road
        case "SEA", "VESSEL": self = .sea
        case "BARGE": self = .barge
        case "AIR": self = .air
        default: return nil
        }
    }
}

/// How bad an alert is.
public enum Severity: UInt8, CaseIterable, Comparable, Sendable {
    case info, warning, critical

    @inlinable public static func < (a: Severity, b: Severity) -> Bool { a.rawValue < b.rawValue }

    public var code: String {
        switch self {
        case .info: "info"
        case .warning: "warning"
        case .critical: "critical"
        }
    }

    public init?(code: String) {
        guard let found = Severity.allCases.first(where: { $0.code == code }) else { return nil }
        self = found
    }
}
