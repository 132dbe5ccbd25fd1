import Foundation
import Settings
import TestKit
import Testing
import Tracking

@Suite struct SettingsTests {
    private func file(_ text: String) throws -> (ScratchFolder, String) {
        let folder = ScratchFolder()
        let path = folder.path + "/c.yaml"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return (folder, path)
    }

    private func load(
        _ text: String, set: [String] = [], environment: [String: String] = [:]
    ) async throws -> Settings {
        let (folder, path) = try file(text)
        defer { _ = folder }
        return try await Settings.load(file: path, overrides: set, environment: environment)
    }

    @Test func flagsWinOverVariablesOverTheFile() async throws {
        let text = "feed:\n  window: 10\n  max-text: 20\n  max-line: 2048\n"
        let settings = try await load(
            text, set: ["feed.window=12"],
            environment: ["CARAVAN_FEED_WINDOW": "11", "CARAVAN_FEED_MAX_TEXT": "21"])
        #expect(settings.integer("feed.window") == 12)
        #expect(settings.integer("feed.max-text") == 21)
        #expect(settings.integer("feed.max-line") == 2_048)
        #expect(settings.integer("tail.slow-seconds") == 30)
    }

    @Test(arguments: [
        ("feed:\n  windw: 10\n", "feed.windw"), ("feed:\n  window: 0\n", "1 to 1000000"),
        ("feed:\n  window: many\n", "feed.window"), ("log:\n  level: loud\n", "one of"),
        ("alerts:\n  raise-probability: 1.5\n", "0.01 to 1.0"), ("x", "line 1"), ("a: [", "YAML"),
    ])
    func flawsNameTheKeyTheValueAndTheRange(_ flaw: (text: String, says: String)) async {
        do {
            _ = try await load(flaw.text)
            Issue.record("accepted: \(flaw.text)")
        } catch {
            #expect("\(error)".contains(flaw.says), "\(error)")
        }
    }

    @Test func boundsAreAllowedThemselves() async throws {
        for value in [1, 1_000_000] {
            let settings = try await load("feed:\n  window: \(value)\n")
            #expect(settings.integer("feed.window") == value)
        }
        await #expect(throws: SettingsFlaw.self) {
            _ = try await load("feed:\n  window: 1000001\n")
        }
    }

    @Test func unknownVariablesAndFlagsAreErrors() async {
        await #expect(throws: SettingsFlaw.self) {
            _ = try await load("", environment: ["CARAVAN_FEED_WINDWO": "1"])
        }
        await #expect(throws: SettingsFlaw.self) { _ = try await load("", set: ["feed.x=1"]) }
    }

    @Test func aVariableThatIsNearNoSettingIsAWarning() async throws {
        let settings = try await load("", environment: ["CARAVAN_HOME": "/srv"])
        #expect(settings.warnings.count == 1)
        #expect(settings.warnings[0].contains("CARAVAN_HOME"))
        // One that would be read in vain, with a secret in it.
        let error = await #expect(throws: SettingsFlaw.self) {
            _ = try await load("", environment: ["CARAVAN_DATABASE_PASSWORD": "word"])
        }
        #expect(error?.description.contains("CARAVAN_DATABASE_PASSWORD_FILE") == true)
        #expect(error?.description.contains("\"word") == false)
    }

    /// Of two that say the same the later fragment wins, and all win over the file.
    @Test func fragmentsBesideTheFileWinByTheirNames() async throws {
        let (folder, path) = try file("feed:\n  window: 10\n  max-text: 20\n  max-line: 2048\n")
        let fragments = folder.path + "/conf.d"
        try FileManager.default.createDirectory(
            atPath: fragments, withIntermediateDirectories: false)
        for (name, text) in [
            ("10-a.yaml", "feed.window: 11\nfeed.max-text: 21\n"),
            ("20-b.yaml", "feed:\n  window: 12\n"),
            ("20-b.yaml.bak", "feed:\n  window: 13\n"), (".hidden.yaml", "feed:\n  window: 14\n"),
        ] {
            try text.write(toFile: fragments + "/" + name, atomically: true, encoding: .utf8)
        }
        let settings = try await Settings.load(file: path, overrides: [], environment: [:])
        #expect(settings.integer("feed.window") == 12)
        #expect(settings.integer("feed.max-text") == 21)
        #expect(settings.integer("feed.max-line") == 2_048)
        try "feed:\n  windwo: 1\n".write(
            toFile: fragments + "/30-c.yaml", atomically: true, encoding: .utf8)
        let error = await #expect(throws: SettingsFlaw.self) {
            _ = try await Settings.load(file: path, overrides: [], environment: [:])
        }
        #expect(error?.description.contains("30-c.yaml, line 2, sets 'feed.windwo'") == true)
        #expect(error?.description.contains("feed.window") == true)
    }

    @Test func rulesThatContradictEachOtherAreErrors() async throws {
        let settings = try await load("alerts:\n  clear-probability: 0.7\n")
        #expect(throws: SettingsFlaw.self) { _ = try settings.rules() }
    }

    /// The example file is the manual: it names every setting with its default, and loads.
    @Test func theExampleFileNamesEverySetting() async throws {
        let path = packageFolder + "/Deploy/caravan.example.yaml"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let settings = try await Settings.load(file: path, overrides: [], environment: [:])
        for setting in Setting.all {
            let leaf = setting.key.split(separator: ".").last.map(String.init) ?? ""
            #expect(text.contains("  \(leaf):"), "\(setting.key) is not in the example")
            #expect(text.contains(setting.purpose), "\(setting.key): \(setting.purpose)")
        }
        #expect(settings.integer("feed.window") == 8_192)
        #expect(try settings.rules() == AlertRules())
    }
}
