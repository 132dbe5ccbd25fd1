import Foundation
import TestKit
import Testing
import Tracking
import Wire

@testable import Sinks

private func line(_ seq: Int, padding: Int = 0) -> OutputLine {
    let pad = String(repeating: "x", count: padding)
    return OutputLine(
        seq: seq, kind: "eta", type: nil, severity: nil, container: nil, shipment: nil, place: nil,
        bytes: Array("{\"seq\":\(seq),\"kind\":\"eta\",\"pad\":\"\(pad)\"}".utf8))
}

@Suite struct OutputFolderTests {
    private let scratch = ScratchFolder()
    private var path: String { scratch.path + "/out" }

    private func open(bytes: Int = 1 << 20) throws -> OutputFolder {
        try OutputFolder(path: path, maxSegmentBytes: bytes)
    }

    private func text(_ name: String) throws -> String {
        try String(contentsOfFile: path + "/" + name, encoding: .utf8)
    }

    /// Numbers in the folder, over all segments.
    private func numbers() throws -> [Int] {
        let names = try FileManager.default.contentsOfDirectory(atPath: path).filter {
            $0.hasPrefix("output-")
        }.sorted { Int($0.dropFirst(7).dropLast(7))! < Int($1.dropFirst(7).dropLast(7))! }
        return try names.flatMap { try text($0).split(separator: "\n") }.compactMap {
            FlatObject(String($0))?.integer("seq")
        }
    }

    @Test func segmentsBeginWithTheirNumberAndCurrentShowsTheNewest() throws {
        let folder = try open(bytes: 200)
        try folder.append((1...5).map { line($0, padding: 50) })
        #expect(folder.segments == [1, 4])
        #expect(
            try FileManager.default.destinationOfSymbolicLink(atPath: path + "/current")
                == "output-4.ndjson")
        #expect(try text("current").hasPrefix("{\"seq\":4,"))
        #expect(try numbers() == Array(1...5))
    }

    /// A segment is begun at the bound, not before.
    @Test func aSegmentThatIsOneByteShortOfTheBoundGoesOn() throws {
        let size = line(1).bytes.count + 1
        let folder = try open(bytes: size + 1)
        try folder.append([line(1)])
        try folder.append([line(2)])
        #expect(folder.segments == [1])
        try folder.append([line(3)])
        #expect(folder.segments == [1, 3])
    }

    /// Whatever a crash leaves of the last bytes, each number stands there once in the end.
    @Test func itGoesOnBehindTheLastWholeLine() throws {
        do { try open().append((1...9).map { line($0) }) }
        let whole = try text("output-1.ndjson")
        let end = whole.utf8.count
        for cut in stride(from: 1, through: end, by: 7) {
            for tail in ["", "\0\0\0\0", "{\"seq\":12", "\n\n", "nonsense\n"] {
                let rest = Data(whole.utf8.prefix(end - cut)) + Data(tail.utf8)
                try rest.write(to: URL(fileURLWithPath: path + "/output-1.ndjson"))
                do {
                    let folder = try open()
                    try folder.append((1...12).map { line($0) })
                }
                #expect(try numbers() == Array(1...12), "cut \(cut), tail \(tail.debugDescription)")
            }
        }
    }

    /// An end that is longer than what is read at a time.
    @Test func aLongRuinOfALineIsTakenOff() throws {
        do { try open().append([line(1), line(2)]) }
        let file = URL(fileURLWithPath: path + "/output-1.ndjson")
        try (Data(contentsOf: file) + Data(count: 300_000)).write(to: file)
        let folder = try open()
        #expect(folder.last == 2)
        try folder.append([line(3)])
        #expect(try numbers() == [1, 2, 3])
        #expect(try Data(contentsOf: file).count < 1_000)
    }

    /// Somebody tidies up while it is written.
    @Test func whatIsRemovedIsWrittenNoMore() throws {
        let folder = try open()
        try folder.append([line(1), line(2)])
        unlink(path + "/current")
        try folder.append([line(3)])
        #expect(try text("current").contains("{\"seq\":3,"))
        unlink(path + "/output-1.ndjson")
        try folder.append([line(4)])
        #expect(folder.segments == [4])
        #expect(
            try FileManager.default.destinationOfSymbolicLink(atPath: path + "/current")
                == "output-4.ndjson")
        try folder.append([line(5)])
        #expect(try numbers() == [4, 5])
    }

    @Test func anEmptySegmentIsNoEnd() throws {
        do { try open(bytes: 10).append([line(1), line(2)]) }
        try Data().write(to: URL(fileURLWithPath: path + "/output-3.ndjson"))
        let folder = try open()
        #expect(folder.last == 2)
        try folder.append([line(3)])
        #expect(try numbers() == [1, 2, 3])
    }

    /// A power failure may leave nothing of the first segment but its name.
    @Test func theNameOfTheFirstSegmentSaysWhereToGoOn() throws {
        do { try open().append([line(7)]) }
        try Data().write(to: URL(fileURLWithPath: path + "/output-7.ndjson"))
        #expect(try open().last == 6)
    }

    @Test func numbersThatAreMissingAreSaid() throws {
        let folder = try open()
        try folder.append([line(1), line(5)])
        #expect(try text("current").contains("{\"kind\":\"gap\",\"from\":2,\"to\":4}"))
    }

    @Test func anotherLogsLinesArePutAside() throws {
        let old = "11111111-1111-1111-1111-111111111111"
        do {
            let folder = try open()
            try folder.begin(log: old)
            try folder.append([line(7)])
        }
        let folder = try open()
        #expect(folder.log == old)
        try folder.begin(log: "22222222-2222-2222-2222-222222222222")
        #expect(folder.last == nil)
        try folder.append([line(7)])
        #expect(try numbers() == [7])
        #expect(FileManager.default.fileExists(atPath: path + "/log-\(old)/output-7.ndjson"))
    }

    /// Other programs read by the folder's group, whatever the daemon's umask is.
    @Test func theGroupOfTheFolderMayRead() throws {
        let before = umask(0o077)
        defer { umask(before) }
        try open().append([line(1)])
        var entry = stat()
        #expect(stat(path + "/output-1.ndjson", &entry) == 0 && entry.st_mode & 0o777 == 0o640)
    }

    @Test func twoDoNotWriteIntoOneFolder() throws {
        let first = try open()
        let failure = #expect(throws: SinkFailure.self) { _ = try open() }
        #expect(failure?.description.contains("another daemon") == true)
        try first.append([line(1)])
    }

    @Test func aFolderThatEverybodyMayWriteIntoIsRefused() throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        chmod(path, 0o777)
        #expect(throws: SinkFailure.self) { _ = try open() }
    }

    @Test func oldSegmentsGoAndTheNewestStays() throws {
        let folder = try open(bytes: 10)
        try folder.append((1...4).map { line($0) })
        let now = Int(time(nil))
        #expect(folder.tidy(keepDays: 1, now: now) == 0)
        #expect(folder.tidy(keepDays: 1, now: now + 86_400) == 0)
        #expect(folder.tidy(keepDays: 1, now: now + 86_500) == 3)
        #expect(folder.segments == [4])
    }

    @Test func plainWordsNameKindAndSeverity() throws {
        let bytes = Array(
            ##"{"seq":9,"kind":"alert","type":"late","state":"raised","severity":"critical","text":"6 h late"}"##
                .utf8)
        let alert = OutputLine(
            seq: 9, kind: "alert", type: "late", severity: .critical, container: "CSQU3054383",
            shipment: nil, place: "KZHOR", bytes: bytes)
        #expect(OutputText.text(alert) == "ALERT critical late raised 6 h late #9")
    }
}
