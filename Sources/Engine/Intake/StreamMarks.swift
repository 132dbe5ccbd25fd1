import Tracking

/// How far each session stream has come, and how many streams each post has.
struct StreamMarks: Sendable {
    private var marks: [Origin: Int64] = [:]
    private var streams: [String: Int] = [:]

    /// The last number of a stream; nil: none has come yet. Never taken away.
    subscript(origin: Origin) -> Int64? {
        marks[origin]
    }

    mutating func move(_ origin: Origin, to seq: Int64) {
        if marks.updateValue(seq, forKey: origin) == nil { streams[origin.post, default: 0] += 1 }
    }

    func streams(of post: String) -> Int { streams[post] ?? 0 }
}
