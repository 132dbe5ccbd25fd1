import Testing
import Tracking
import Wire

/// What stands on the wire of an alert, and which tails it reaches.
@Suite struct AlertLineTests {
    private func alert(_ convoy: Convoy?) throws -> AlertEvent {
        var alert = AlertEvent(
            time: Instant(seconds: 1_767_225_600), alert: "a", rev: 2, state: .raised,
            type: .overdue, severity: .warning,
            container: ContainerNumber("QZTU0000700"), shipment: "S", place: "ZAA",
            delayMinutes: 90, text: "words")
        alert.convoy = convoy
        return alert
    }

    private func matches(_ request: String, _ alert: AlertEvent) throws -> Bool {
        try TailRequest.parse(Array(request.utf8)).filter.matches(OutputLine(seq: 1, .alert(alert)))
    }

    @Test func whatIsNotSoIsNotSaid() throws {
        let bytes = OutputLine(seq: 7, .alert(try alert(nil))).bytes
        #expect(
            String(decoding: bytes, as: UTF8.self)
                == #"{"seq":7,"kind":"alert","time":"2026-01-01T00:00:00Z","alert":"a","rev":2,"#
                + #""state":"raised","type":"overdue","severity":"warning","container":"QZTU0000700","#
                + #""shipment":"S","place":"ZAA","delayMinutes":90,"text":"words"}"#)
    }

    @Test func whatIsSoIs() throws {
        var alert = try alert(Convoy(id: 0xAB, count: 3, isLead: false))
        alert.state = .acknowledged
        alert.by = "TOWER"
        alert.note = "seen"
        alert.until = Instant(seconds: 1_767_229_200)
        alert.silenced = "S-1"
        alert.isFlapping = true
        let line = try #require(FlatObject(OutputLine(seq: 7, .alert(alert)).bytes))
        #expect(line.object("convoy")?.text("id") == "c-00000000000000ab")
        #expect(line.object("convoy")?.integer("count") == 3)
        #expect(line.text("by") == "TOWER" && line.text("note") == "seen")
        #expect(line.text("until") == "2026-01-01T01:00:00Z" && line.text("silenced") == "S-1")
        #expect(line.bool("flapping") == true)
    }

    @Test func aTailMayAskForTheFirstOfEachTrain() throws {
        let lead = try alert(Convoy(id: 1, count: 1, isLead: true))
        let other = try alert(Convoy(id: 1, count: 2, isLead: false))
        let asked = #"{"tail":"caravan/1","convoys":"lead"}"#
        #expect(try matches(asked, lead) && matches(asked, alert(nil)))
        #expect(try !matches(asked, other))
        #expect(try matches(#"{"tail":"caravan/1","convoys":"all"}"#, other))
        #expect(throws: LineReject.self) {
            try TailRequest.parse(Array(#"{"tail":"caravan/1","convoys":"first"}"#.utf8))
        }
    }
}
