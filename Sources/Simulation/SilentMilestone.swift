import Tracking

/// A milestone of which nobody reports a share.
public struct SilentMilestone: Sendable, Equatable {
    /// nil: any.
    public var place: String?
    public var code: EventCode?
    public var share: Double

    /// `KZHOR=0.3`, `DISC=0.4`, `KZHOR/DISC=0.5`; nil: it is none of these.
    public init?(_ text: String) {
        let parts = text.split(separator: "=", omittingEmptySubsequences: false)
        guard parts.count == 2, let share = Double(parts[1]), (0...1).contains(share) else {
            return nil
        }
        self.share = share
        for name in parts[0].split(separator: "/", omittingEmptySubsequences: false) {
            if code == nil, let known = EventCode.allCases.first(where: { $0.code == name }) {
                code = known
            } else if place == nil, !name.isEmpty {
                place = String(name)
            } else {
                return nil
            }
        }
    }

    func fits(_ place: String, _ code: EventCode) -> Bool {
        (self.place ?? place) == place && (self.code ?? code) == code
    }
}
