import Tracking
import Wire

/// A milestone of which nobody reports a share.
public struct SilentMilestone: Sendable, Equatable {
    /// nil: any.
    public var place: String?
    public var code: EventCode?
    public var share: Double

    /// `KZHOR=0.3`, `DISC=0.4`, `KZHOR/DISC=0.5`; nil: it is none of these.
    public init?(_ text: String, _ network: Network = LoadedNetwork.shipped.network) {
        let parts = text.split(separator: "=", omittingEmptySubsequences: false)
        guard parts.count == 2, let share = Double(parts[1]), (0...1).contains(share) else {
            return nil
        }
        self.share = share
        for name in parts[0].split(separator: "/", omittingEmptySubsequences: false) {
            if code == nil,
                let known = EventCode.allCases.first(where: { $0.code == name.uppercased() })
            {
                code = known
            } else if place == nil, let known = network.place(meant: String(name)) {
                place = network.places[known].id
            } else {
                return nil
            }
        }
    }

    func fits(_ place: String, _ code: EventCode) -> Bool {
        (self.place ?? place) == place && (self.code ?? code) == code
    }
}
