import Tracking

/// What a sender hears of a key that nothing reads.
public enum KeyNotes {
    public enum Kind: String, Sendable {
        case event, plan, closure, acknowledge, silence
    }

    /// `key`: as the parser tells it, in a milestone behind `milestones.`
    public static func note(_ key: String, on kind: Kind) -> LineNote {
        let inner = "milestones."
        let isInner = key.hasPrefix(inner)
        let name = isInner ? String(key.dropFirst(inner.count)) : key
        let known: [String] =
            isInner
            ? PlanReader.milestoneKeys.map { "\($0)" } + ["after"]
            : keys(of: kind).map { "\($0)" }
        let near = nearest(name, known)
        let what =
            isInner ? "milestone" : kind == .acknowledge ? "acknowledgement" : kind.rawValue
        let article = "ae".contains(what.prefix(1)) ? "an" : "a"
        return LineNote(
            .keyUnknown, field: key, assumed: key,
            detail: "\(name) is no key of \(article) \(what), and is not read"
                + (near.map { "; is \($0) meant?" } ?? ""),
            suggest: near.map { [$0] } ?? [])
    }

    private static func keys(of kind: Kind) -> Set<FeedKey> {
        switch kind {
        case .event: EventReader.keys
        case .plan: PlanReader.keys
        case .closure: EventReader.closureKeys
        case .acknowledge: OrderReader.acknowledgeKeys
        case .silence: OrderReader.silenceKeys
        }
    }

    private static func nearest(_ name: String, _ known: [String]) -> String? {
        let lower = name.lowercased()
        var best: (distance: Int, key: String)?
        for key in known.sorted() {
            let most = min(lower.utf8.count, key.utf8.count) > 4 ? 2 : 1
            guard let distance = Slips.between(lower, key, atMost: most) else { continue }
            if best.map({ distance < $0.distance }) ?? true { best = (distance, key) }
        }
        if let best { return best.key }
        let others = [
            "number": "container", "box": "container", "location": "place", "locode": "place",
            "status": "event", "code": "event", "timestamp": "time", "date": "time",
            "at": "time", "eta": "time", "booking": "shipment", "reference": "shipment",
            "comment": "remark", "note": "remark", "seal": "seals", "truck": "vehicle",
            "wagon": "vehicle", "vessel": "vehicle", "shipments": "shipment", "to": "until",
            "till": "until", "end": "until", "origin": "from", "destination": "to",
            "due": "promised", "cancelled": "retract", "canceled": "retract",
            "cancel": "retract", "deleted": "retract", "withdrawn": "retract",
            "deadline": "promised", "stops": "milestones", "legs": "milestones",
            "route": "via", "boxes": "containers", "begin": "from", "departure": "start",
        ]
        if lower == "eta", known.contains("promised") { return "promised" }
        return others[lower].flatMap { known.contains($0) ? $0 : nil }
    }
}
