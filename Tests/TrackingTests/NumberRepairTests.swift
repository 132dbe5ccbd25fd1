import Simulation
import Testing
import Tracking

@Suite struct NumberRepairTests {
    @Test func whatEyesAndFingersDoIsUndone() throws {
        var random = SeededGenerator(seed: 4_711)
        let pairs: [Character: Character] = [
            "0": "O", "1": "I", "2": "Z", "5": "S", "8": "B", "6": "G", "3": "8", "7": "1",
            "9": "4",
            "4": "A",
        ]
        for _ in 0..<300 {
            let box = try #require(
                ContainerNumber(owner: "QZTU", serial: Int(random.share() * 1_000_000)))
            let right = Array(box.description)
            let at = 4 + Int(random.share() * 7)
            var read = right
            read[at] = pairs[read[at]] ?? read[at]
            var swapped = right
            if at < 10 { swapped.swapAt(at, at + 1) }
            var slipped = right
            slipped[at] = slipped[at] == "9" ? "0" : "9"
            for (text, least) in [
                (read, NumberRepair.Slip.lookAlike), (swapped, .swapped), (slipped, .oneDigit),
            ] where text != right && ContainerNumber(String(text)) == nil {
                let found = NumberRepair.candidates(String(text)).first { $0.number == box }
                let slip = try #require(found?.slip, "\(String(text)) was \(box)")
                #expect(slip <= least)
            }
        }
    }

    @Test func everyCandidateIsANumberAndNoneIsTheText() {
        let found = NumberRepair.candidates("qztu 000070-1")
        #expect(!found.isEmpty && Set(found.map(\.number)).count == found.count)
        #expect(found.map(\.slip) == found.map(\.slip).sorted())
        #expect(NumberRepair.candidates("QZTU").isEmpty)
        #expect(NumberRepair.candidates(String(repeating: "9", count: 40_000)).isEmpty)
    }
}
