import Tracking

/// How alike consecutive steps of one journey go: what makes one of them slow, a ship that is full or a
/// plan that was too hopeful, is often at work in the next. The mean product of their normal scores, which
/// is their correlation. Where steps are alike their errors add up and do not even out.
public struct Correlation: Sendable, Equatable {
    /// How much a new pair counts at least.
    private static let rate: Float = 0.004
    /// Of what is found, so many standard errors are taken for chance.
    private static let doubt: Float = 1.5
    /// Classes of a tenth; most of what can be told apart.
    static let classes = 10

    public private(set) var mean: Float = 0
    public private(set) var count: Float = 0

    public init() {}

    public init(mean: Float, count: Float) {
        self.mean = mean
        self.count = count
    }

    /// The class that is sure to be there; 0: none is.
    var number: Int {
        let known = mean - Correlation.doubt / max(count, 1).squareRoot()
        return min(max(Int(known * Float(Correlation.classes)), 0), Correlation.classes - 1)
    }

    /// The scores of a step and of the one before it.
    mutating func learn(_ score: Float, after before: Float) {
        let gain = max(1 / (count + 1), Correlation.rate)
        mean += (score * before - mean) * gain
        count += 1
    }
}

/// In which order the points of a step's curve meet those of the journey's, which ascend with the step
/// under way: for each class of correlation and each place in the chain a permutation of 0…63, made once
/// by a fixed generator.
enum Permutations {
    /// Places in the chain before permutations recur.
    static let positions = 61
    /// For what is a guess: as it is, so that guesses add up and do not even out.
    static let together = positions * Correlation.classes

    static func position(_ index: Int, _ correlation: Int) -> Int {
        index % positions + correlation * positions
    }

    static let all: [[UInt8]] = {
        let shuffled = (0..<positions).map { Permutations.shuffled($0) }
        // What steps have in common besides what the one under way shows of it.
        let common = Permutations.shuffled(positions)
        var rows = shuffled
        for number in 1..<Correlation.classes {
            let alike = Double(number) / Double(Correlation.classes)
            let (seen, hidden, own) = (
                alike, (alike - alike * alike).squareRoot(), (1 - alike).squareRoot()
            )
            for row in shuffled {
                let scores = (0..<Curve.count).map { j in
                    seen * Curve.normalPoints[j] + hidden * Curve.normalPoints[Int(common[j])]
                        + own * Curve.normalPoints[Int(row[j])]
                }
                var ranks = [UInt8](repeating: 0, count: Curve.count)
                let order = scores.indices.sorted { (scores[$0], $0) < (scores[$1], $1) }
                for (rank, j) in order.enumerated() { ranks[j] = UInt8(rank) }
                rows.append(ranks)
            }
        }
        return rows + [(0..<UInt8(Curve.count)).map { $0 }]
    }()

    private static func shuffled(_ step: Int) -> [UInt8] {
        var state = UInt64(step) &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678_9ABC_DEF1
        var order = (0..<UInt8(Curve.count)).map { $0 }
        for index in stride(from: Curve.count - 1, to: 0, by: -1) {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            order.swapAt(index, Int(state % UInt64(index + 1)))
        }
        return order
    }
}

extension Pools {
    /// The class of correlation between a step and those before it.
    func correlation(_ id: StepID) -> Int {
        guard !without.contains(.correlation), let slot = models[Int(id.number)].slots.last,
            slot >= 0
        else { return 0 }
        return pools[Int(slot)].correlation.number
    }

    /// Before a step is learned: how it went beside the one before it.
    public mutating func learnPair(
        _ before: (step: Milestone, id: StepID, lesson: Lesson),
        _ after: (step: Milestone, id: StepID, lesson: Lesson)
    ) {
        guard let first = score(before.step, before.id, before.lesson),
            let second = score(after.step, after.id, after.lesson)
        else { return }
        let general = slot(after.id, models[Int(after.id.number)].keys.count - 1)
        pools[general].correlation.learn(second, after: first)
        changed.insert(general)
    }

    /// Where what a step took lies in what was expected of it.
    private mutating func score(_ step: Milestone, _ id: StepID, _ lesson: Lesson) -> Float? {
        guard let blend = blend(id, step, start: lesson.start, lead: 0), !isGuess(blend) else {
            return nil
        }
        let value = Float(StepValue.observed(step, start: lesson.start, end: lesson.end))
        let score = NormalShift.score(value, curve(blend))
        guard let late = lesson.lateMinutes, let told = tendency(id) else { return score }
        // What its beginning tells is told already.
        return score
            - withCurve(blend) { told.shift(Tendency.number(Float(late), Tendency.width($0))) }
    }
}
