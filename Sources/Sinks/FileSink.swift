import Engine
import Glibc
import Host
import Logging
import NIOConcurrencyHelpers
import Server
import Wire

/// Follows the log into a folder of files; never in the way of the feed.
public actor FileSink {
    public struct Options: Sendable {
        public var folder: String
        public var segmentBytes = 64 << 20
        public var keepDays = 30

        public init(folder: String) { self.folder = folder }
    }

    private nonisolated let executor = QueueExecutor("caravan.sink.files")
    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    private let options: Options
    private let hub: TailHub
    private let source: any TailSource
    private let logger: Logger

    public init(options: Options, hub: TailHub, source: any TailSource, logger: Logger) {
        self.options = options
        self.hub = hub
        self.source = source
        self.logger = logger
    }

    /// Lines that are read at a time.
    private static let pageLines = 1_000

    /// Where it has come to, which a folder that has gone does not say.
    private var reached: (log: String, seq: Int)?
    private var isWell = true

    /// Runs until it is cancelled. What goes wrong with the folder or the log is tried again.
    public func run() async {
        while !Task.isCancelled {
            do {
                try await follow()
            } catch {
                if Task.isCancelled { return }
                if isWell {
                    logger.error(
                        "the output cannot be written into files; trying on",
                        metadata: [
                            "cause": "\(error)", "folder": "\(options.folder)",
                            "hint": "systemd lets it write where ReadWritePaths says",
                        ])
                }
                isWell = false
                try? await Task.sleep(for: .seconds(2))
            }
        }
    }

    /// Follows one log until it is another one.
    private func follow() async throws {
        guard let place = hub.place else {
            await hub.wait(after: .max, of: "")
            return
        }
        let folder = try OutputFolder(path: options.folder, maxSegmentBytes: options.segmentBytes)
        if folder.log != place.log { try folder.begin(log: place.log) }
        // A folder that is new begins where this process began: it is no copy of the past.
        // One that went while it was written goes on where it was.
        let before = reached?.log == place.log ? reached?.seq : nil
        var cursor = folder.last ?? before ?? place.beginning
        if cursor > place.last {
            throw SinkFailure(
                words:
                    "\(options.folder) is ahead of the log: it holds number \(cursor), and the log "
                    + "ends at \(place.last). Is it another daemon's? Then give this one its own")
        }
        var tidied = 0
        while !Task.isCancelled, hub.place?.log == place.log {
            let lines = try await hub.lines(
                after: cursor, limit: FileSink.pageLines, source: source)
            if let end = lines.last {
                guard folder.isThere else {
                    throw SinkFailure(words: "the folder has gone, with what was in it")
                }
                try folder.append(lines)
                cursor = end.seq
                reached = (place.log, cursor)
                if !isWell { logger.notice("the output is written into files again") }
                isWell = true
                if lines.count == FileSink.pageLines { continue }
            }
            folder.sync()
            let now = time(nil)
            if now - tidied >= 3_600 {
                let dropped = folder.tidy(keepDays: options.keepDays, now: now)
                if dropped > 0 {
                    logger.info("old output files dropped", metadata: ["number": "\(dropped)"])
                }
                tidied = now
            }
            await hub.wait(after: cursor, of: place.log)
        }
    }
}
