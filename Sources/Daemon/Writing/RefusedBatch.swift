import Engine
import Log
import Logging
import Server
import Tracking
import Wire

/// What the database does not take for what it says, not for the state that the database is in.
extension WriterLoop {
    /// The database does not take the data itself: finds the lines at fault, puts them into the
    /// quarantine instead, and decides the batch anew from what the log says.
    mutating func bisect(
        _ flight: Flight, _ commit: Commit, _ failure: StoreFailure
    ) async throws(StoreFailure) -> Bool {
        logger.error(
            "the database refuses a batch; looking for the lines at fault",
            metadata: ["cause": "\(failure)", "batch": "\(commit.batch)"])
        let culprits = try await persist("looking for refused lines") {
            (store) throws(StoreFailure) in try await store.culprits(commit)
        }
        guard !culprits.isEmpty else {
            // No row is at fault, so it is none of the senders': they wait, and nobody is cut.
            status.set(.noDatabase)
            logger.error(
                "the database refuses the batch, and no row of it is at fault; trying again",
                metadata: ["cause": "\(failure)"])
            try? await Task.sleep(for: .seconds(Backoff.seconds(5)))
            if inbox.isStopped || Task.isCancelled { throw failure }
            inFlight = launch(flight.effects, flight.chunks, flight.connections)
            return try await finishCommit()
        }
        status.set(.ok)
        var events: [(row: EventRow, cause: String)] = []
        for culprit in culprits {
            if case .event(let at) = culprit.row {
                events.append((commit.events[at], culprit.cause))
            }
        }
        guard !events.isEmpty else {
            // The lines themselves are good: what follows from them is written as far as it goes.
            var effects = flight.effects
            effects.commit = without(culprits, commit)
            inFlight = launch(effects, flight.chunks, flight.connections)
            return try await finishCommit()
        }
        _ = await checkpointing?.value()
        checkpointing = nil
        let recovered = try await persist("opening the log anew") { (store) throws(StoreFailure) in
            try await Recovery.run(store)
        }
        engine = recovered.engine
        bookVersion = nil
        jumps = recovered.jumps
        var causes: [Int: [Int: String]] = [:]
        for (event, cause) in events {
            causes[event.source, default: [:]][event.number] = cause
        }
        var chunks = flight.chunks
        for at in chunks.indices {
            guard let bad = causes[chunks[at].source] else { continue }
            for line in chunks[at].lines.indices {
                guard let cause = bad[chunks[at].lines[line].number] else { continue }
                chunks[at].lines[line].value = .reject(
                    LineReject(.type, detail: "the database refuses it: \(cause)"))
            }
        }
        let effects = try await decide(chunks, changes)
        inFlight = launch(effects, chunks, flight.connections)
        try await finishCommit()
        return true
    }

    /// A commit without the rows that the database does not take: in place of an output line stands a
    /// gap of that number, and a refused line is kept with nothing but its bytes.
    private func without(_ culprits: [Culprit], _ commit: Commit) -> Commit {
        var commit = commit
        var hopeless: Set<Int> = []
        for culprit in culprits {
            switch culprit.row {
            case .event: break
            case .mark: break
            case .output(let at):
                let line = commit.outputs[at]
                if line.kind == "gap" { commit.unstored.insert(at) }
                logger.error(
                    "an output line is not taken by the database; a gap stands in its place",
                    metadata: [
                        "seq": "\(line.seq)", "cause": "\(culprit.cause)",
                        "line": "\(String(decoding: line.bytes, as: UTF8.self))",
                    ])
                commit.outputs[at] = .gap(line.seq)
            case .quarantined(let at):
                let isPlain = commit.quarantined[at].makePlain()
                if isPlain { hopeless.insert(at) }
                logger.error(
                    isPlain
                        ? "a refused line is not kept: the database takes it in no form"
                        : "a refused line is kept with nothing but its bytes",
                    metadata: ["cause": "\(culprit.cause)"])
            }
        }
        let refusedMarks = culprits.compactMap { culprit -> Int? in
            if case .mark(let at) = culprit.row { at } else { nil }
        }
        for at in refusedMarks {
            logger.error(
                "how far a stream has come is not kept; its lines are told apart by what they say",
                metadata: [
                    "post": "\(commit.marks[at].origin.post)",
                    "stream": "\(commit.marks[at].origin.stream)",
                ])
        }
        commit.marks = commit.marks.enumerated().filter { !refusedMarks.contains($0.offset) }
            .map(\.element)
        commit.quarantined = commit.quarantined.enumerated()
            .filter { !hopeless.contains($0.offset) }.map(\.element)
        return commit
    }
}
