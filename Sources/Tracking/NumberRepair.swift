/// Numbers that a damaged one may have been: what eyes and cameras take for each other, neighbours that
/// changed places, one character that is wrong. Each has a right check digit; none is put in its place
/// by itself.
public enum NumberRepair {
    /// How a candidate differs, the likelier first.
    public enum Slip: Int, Sendable, Comparable {
        case lookAlike, swapped, oneDigit, oneLetter

        public static func < (a: Slip, b: Slip) -> Bool { a.rawValue < b.rawValue }
    }

    public struct Candidate: Sendable, Equatable {
        public var number: ContainerNumber
        public var slip: Slip
    }

    /// Characters that are taken for each other, by eyes, cameras and typewriters.
    private static let alike: [[Character]] = [
        ["0", "O", "D", "Q", "C", "U"], ["1", "I", "L", "7", "T"], ["2", "Z", "7"],
        ["3", "8", "B", "E"],
        ["4", "A", "9"], ["5", "S", "6"], ["6", "G", "8", "C"], ["8", "B", "R"], ["9", "G", "P"],
        ["M", "N", "H", "W"], ["V", "U", "Y"], ["E", "F"], ["K", "X"],
    ]

    /// Candidates for a text of eleven characters; none where it has another length.
    public static func candidates(_ text: String) -> [Candidate] {
        let typed = Array(LookAlike.latin(ContainerNumber.plain(text)).uppercased())
        guard typed.count == 11 else { return [] }
        var found: [ContainerNumber: Slip] = [:]
        func keep(_ characters: [Character], _ slip: Slip) {
            guard characters != typed, let number = ContainerNumber(String(characters)) else {
                return
            }
            found[number] = min(found[number] ?? slip, slip)
        }
        for at in typed.indices {
            for group in alike where group.contains(typed[at]) {
                for other in group where other != typed[at] {
                    var changed = typed
                    changed[at] = other
                    keep(changed, .lookAlike)
                }
            }
            for step in [1, 2] where at + step < typed.count {
                var changed = typed
                changed.swapAt(at, at + step)
                keep(changed, .swapped)
            }
            for other in at < 4 ? "ABCDEFGHIJKLMNOPQRSTUVWXYZ" : "0123456789" {
                var changed = typed
                changed[at] = other
                keep(changed, at < 4 ? .oneLetter : .oneDigit)
            }
        }
        return found.map { Candidate(number: $0.key, slip: $0.value) }
            .sorted { ($0.slip, $0.number) < ($1.slip, $1.number) }
    }
}
