import Foundation
import TestKit
import Testing

/// House rules that no other tool sees, one message each.
@Suite struct TidyTests {
    struct Source {
        let path: String
        let lines: [String]
        var target: String { String(path.split(separator: "/")[1]) }
    }

    static func sources(_ folders: [String]) -> [Source] {
        var found: [Source] = []
        for folder in folders {
            let root = packageFolder + "/" + folder
            for case let name as String in FileManager.default.enumerator(atPath: root) ?? .init()
            where name.hasSuffix(".swift") {
                let text = (try? String(contentsOfFile: root + "/" + name, encoding: .utf8)) ?? ""
                found.append(
                    Source(
                        path: folder + "/" + name,
                        lines: text.split(separator: "\n", omittingEmptySubsequences: false)
                            .map(String.init)))
            }
        }
        return found.sorted { $0.path < $1.path }
    }

    private let all = sources(["Sources", "Tests", "Schema"])
    private let core: Set<String> = ["Tracking", "Forecast", "Alerting", "Log", "Wire", "Engine"]

    @Test func thereAreSources() { #expect(all.count > 60) }

    @Test func theCoreImportsTheCoreOnly() {
        let allowed = core
        for source in all where source.path.hasPrefix("Sources/") && core.contains(source.target) {
            for line in source.lines where line.hasPrefix("import ") {
                let module = String(line.dropFirst(7))
                #expect(allowed.contains(module), "\(source.path) imports \(module)")
            }
        }
    }

    @Test func theCoreHasNoClockAndNoTask() {
        let words = ["Date()", "clock_gettime", "Task.sleep", "Task {", "ContinuousClock"]
        for source in all where source.path.hasPrefix("Sources/") && core.contains(source.target) {
            for (number, line) in source.lines.enumerated() {
                for word in words where line.contains(word) {
                    Issue.record("\(source.path):\(number + 1) uses \(word)")
                }
            }
        }
    }

    @Test func filesAreShort() {
        for source in all {
            #expect(source.lines.count <= 600, "\(source.path) has \(source.lines.count) lines")
        }
    }

    @Test func functionsAreShort() {
        for source in all {
            // Functions that have begun, each within the one before it.
            var open: [(begin: Int, indent: Int)] = []
            for (number, line) in source.lines.enumerated() {
                let body = line.drop { $0 == " " }
                let indent = line.count - body.count
                let isStart = body.contains("func ") || body.contains("init(")
                if isStart, !body.hasPrefix("//"), !body.hasPrefix("*") {
                    open.removeAll { $0.indent >= indent }
                    if !body.hasSuffix("}") { open.append((number, indent)) }
                } else if body == "}", let at = open.firstIndex(where: { $0.indent == indent }) {
                    let begin = open[at].begin
                    #expect(
                        number - begin < 70,
                        "\(source.path):\(begin + 1) is \(number - begin) lines long")
                    open.removeSubrange(at...)
                }
            }
        }
    }

    @Test func nothingIsLeftUnfinished() {
        let words = ["TO" + "DO", "FIX" + "ME", "X" + "XX", "fatal" + "Error()"]
        for source in all {
            for (number, line) in source.lines.enumerated() {
                for word in words where line.contains(word) {
                    Issue.record("\(source.path):\(number + 1) says \(word)")
                }
            }
        }
    }

    @Test func noSQLIsBuiltFromValues() {
        let verbs = ["select ", "insert into ", "update ", "delete from "]
        for source in all where source.path.hasPrefix("Sources/Store/") {
            for (number, line) in source.lines.enumerated() {
                let lower = line.lowercased()
                let isSQL = verbs.contains { lower.contains($0) }
                let builds = line.contains("\\(") && isSQL && !line.contains("StoreFailure")
                #expect(!builds, "\(source.path):\(number + 1) builds SQL from values")
            }
        }
    }

    /// The thread sanitizer sees no lock of the standard library; whoever holds one is named to it.
    @Test func whatASanitizerCannotSeeIsNamed() throws {
        let path = packageFolder + "/Deploy/thread-sanitizer.suppressions"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let named = Set(
            text.split(separator: "\n").filter { $0.hasPrefix("race:") }.map(String.init))
        var holders: Set<String> = []
        for source in all where source.path.hasPrefix("Sources/") {
            var type = ""
            for line in source.lines {
                let words = line.split { " :<".contains($0) }.map(String.init)
                if let place = words.firstIndex(of: "class"), place + 1 < words.count,
                    !line.hasPrefix(" "), !line.hasPrefix("/")
                {
                    type = words[place + 1]
                }
                if line.contains(": Mutex<") || line.contains("= Mutex") {
                    holders.insert(
                        "race:\(source.target.count)\(source.target)\(type.count)\(type)")
                }
            }
        }
        #expect(named == holders)
    }

    @Test func onlyTheAskedForEntriesStandAtTheTop() throws {
        let listed = try Shell.run(["git", "-C", packageFolder, "ls-files"])
        let tops = Set(listed.split(separator: "\n").map { $0.split(separator: "/")[0] })
        let asked: Set<Substring> = [
            "Package.swift", "Sources", "Tests", "Deploy", "Schema", "README.md",
        ]
        for top in tops where !top.hasPrefix(".") {
            #expect(asked.contains(top), "\(top) stands at the top level")
        }
    }

    @Test func theFormatterIsContent() throws {
        let text = try Shell.run([
            "swift", "format", "lint", "--strict", "--recursive", packageFolder + "/Sources",
            packageFolder + "/Tests", packageFolder + "/Schema", packageFolder + "/Package.swift",
        ])
        #expect(text.isEmpty)
    }
}
