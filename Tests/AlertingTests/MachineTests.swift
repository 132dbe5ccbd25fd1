import Alerting
import Testing
import Tracking

/// Scripts of what is found, and when: what is said of it.
@Suite struct MachineTests {
    private static let start = Instant(seconds: 1_767_225_600)
    private let rules = AlertRules()

    private func at(_ minutes: Double) -> Instant { MachineTests.start.advanced(minutes: minutes) }

    private func condition(
        _ delay: Double, obvious: Bool = false
    ) -> Condition {
        Condition(
            severity: rules.severity(delayMinutes: delay), delayMinutes: delay, probability: 0.8,
            isObvious: obvious)
    }

    /// Shows one episode each finding in turn; returns the states that are said, "" for none.
    private func run(
        _ steps: [(minutes: Double, finding: Finding, isEvidence: Bool, hold: Double)]
    ) -> [String] {
        let machine = AlertMachine(rules)
        let key = AlertKey(.late, milestone: 3, place: 1, code: .arri, occurrence: 1)
        var episode: AlertEpisode?
        var said: [String] = []
        for step in steps {
            let moment = Moment(
                now: at(step.minutes), holdUntil: step.hold == 0 ? .unset : at(step.hold),
                isEvidence: step.isEvidence)
            if episode == nil {
                episode = machine.begin(
                    key, 1, step.finding, since: at(step.minutes), moment)
            }
            guard var now = episode else {
                said.append("")
                continue
            }
            let state = machine.advance(&now, step.finding, moment)
            said.append(state?.code ?? "")
            episode = now.phase == .closed ? nil : now
        }
        return said
    }

    private func run(_ steps: [(Double, Finding)]) -> [String] {
        run(steps.map { ($0.0, $0.1, false, 0) })
    }

    @Test func oneSignIsConfirmedByTime() {
        #expect(run([(0, .holds(condition(60)))]) == [""])
        #expect(
            run([
                (0, .holds(condition(60))), (9.9, .holds(condition(60))),
                (10, .holds(condition(60))),
            ])
                == ["", "", "raised"])
    }

    @Test func twoSignsAreEnough() {
        let steps = [
            (0.0, Finding.holds(condition(60)), true, 0.0), (1, .holds(condition(60)), true, 0),
        ]
        #expect(run(steps) == ["", "raised"])
    }

    @Test func whatIsObviousNeedsNoSecond() {
        #expect(run([(0, .holds(condition(60, obvious: true)))]) == ["raised"])
    }

    @Test func whatCeasesBeforeItIsConfirmedWasNothing() {
        #expect(
            run([
                (0, .holds(condition(60))), (5, .undecided(condition(10))),
                (20, .ceases(condition(0))),
            ])
                == ["", "", ""])
    }

    @Test func itClearsOnceCalmHasLasted() {
        let raised = (0.0, Finding.holds(condition(60, obvious: true)))
        #expect(
            run([
                raised, (5, .ceases(condition(5))), (19.9, .ceases(condition(5))),
                (20, .ceases(condition(5))),
            ])
                == ["raised", "", "", "cleared"])
        // What comes back meanwhile begins the calm anew, and is no second alert.
        #expect(
            run([
                raised, (5, .ceases(condition(5))), (10, .undecided(condition(60))),
                (21, .ceases(condition(5))), (35.9, .ceases(condition(5))),
                (36, .ceases(condition(5))),
            ]) == ["raised", "", "", "", "", "cleared"])
    }

    @Test func levelsRiseAtOnceAndFallClearOfTheirThreshold() {
        let raised = (0.0, Finding.holds(condition(60, obvious: true)))
        #expect(
            run([
                raised, (1, .holds(condition(121))), (2, .holds(condition(119))),
                (3, .holds(condition(83))), (4, .holds(condition(400))),
            ]) == ["raised", "updated", "", "updated", "updated"])
    }

    @Test func evidenceEndsItAtOnceAndOnce() {
        let raised = (0.0, Finding.holds(condition(60, obvious: true)))
        #expect(
            run([raised, (1, .over(.cleared, nil)), (2, .over(.cleared, nil))]) == [
                "raised", "cleared", "",
            ])
        #expect(run([raised, (1, .over(.withdrawn, nil))]) == ["raised", "withdrawn"])
        // Of what was never raised no end is told.
        #expect(run([(0, .holds(condition(60))), (1, .over(.cleared, nil))]) == ["", ""])
    }

    @Test func nothingIsRaisedWhileOldNewsComesIn() {
        let obvious = Finding.holds(condition(60, obvious: true))
        let held: [(Double, Finding, Bool, Double)] = [
            (0, obvious, true, 2), (1, obvious, true, 3), (3, obvious, false, 3),
        ]
        #expect(run(held) == ["", "", "raised"])
    }

    @Test func whatComesAndGoesStaysOpenUntilItIsCalm() {
        let machine = AlertMachine(rules)
        func raisedAt(_ minutes: Double) -> AlertEpisode {
            var episode = raised()
            episode.raisedAt = at(minutes)
            return episode
        }
        #expect(!machine.flaps([raisedAt(0)], at: at(10)))
        #expect(machine.flaps([raisedAt(0), raisedAt(20)], at: at(360)))
        #expect(!machine.flaps([raisedAt(0), raisedAt(20)], at: at(360.1)))
        var episode = raised()
        episode.isFlapping = true
        let calm = Finding.ceases(condition(0))
        #expect(machine.advance(&episode, calm, Moment(now: at(5))) == nil)
        #expect(machine.advance(&episode, calm, Moment(now: at(124.9))) == nil)
        #expect(machine.advance(&episode, calm, Moment(now: at(125))) == .cleared)
    }

    // MARK: Acknowledgements

    private func raised() -> AlertEpisode {
        let machine = AlertMachine(rules)
        let key = AlertKey(.late, milestone: 3, place: 1, code: .arri, occurrence: 1)
        let finding = Finding.holds(condition(60, obvious: true))
        var episode = machine.begin(key, 1, finding, since: at(0), Moment(now: at(0)))
        _ = episode.map { _ in machine.advance(&episode!, finding, Moment(now: at(0))) }
        return episode!
    }

    private func seen(_ rev: Int, _ content: UInt64 = 7) -> AlertAcknowledgement {
        var seen = AlertAcknowledgement(alert: "a", rev: rev)
        seen.content = content
        return seen
    }

    @Test func anAcknowledgementIsOneLineHoweverOftenItComes() {
        var episode = raised()
        let machine = AlertMachine(rules)
        #expect(machine.acknowledge(&episode, seen(1)) == .taken(.acknowledged))
        #expect(episode.rev == 2 && episode.phase == .open)
        #expect(machine.acknowledge(&episode, seen(1)) == .again)
        #expect(episode.rev == 2)
        #expect(machine.acknowledge(&episode, seen(9, 8)) == .notSaid(2))
    }

    @Test func aHigherLevelVoidsIt() {
        var episode = raised()
        let machine = AlertMachine(rules)
        _ = machine.acknowledge(&episode, seen(1))
        let state = machine.advance(&episode, .holds(condition(500)), Moment(now: at(5)))
        #expect(state == .updated && episode.acknowledgedUntil == .unset)
        // Whoever speaks of the line before has not seen this.
        #expect(machine.acknowledge(&episode, seen(2, 8)) == .worse(3))
        #expect(machine.acknowledge(&episode, seen(3, 9)) == .taken(.acknowledged))
    }

    @Test func aClosedOneIsNotReopened() {
        var episode = raised()
        let machine = AlertMachine(rules)
        _ = machine.advance(&episode, .over(.cleared, nil), Moment(now: at(5)))
        #expect(machine.acknowledge(&episode, seen(1)) == .notOpen)
        #expect(episode.phase == .closed && episode.rev == 2)
    }

    // MARK: Convoys, silences

    @Test func boxesSeenTogetherGoTogether() {
        var book = AlertBook()
        let key = AlertBook.PartyKey(type: .overdue, place: 1, code: .arri, seenAt: 2)
        let lead = book.join(key, seen: at(0), now: at(100), id: 11)
        #expect(lead == Convoy(id: 11, count: 1, isLead: true))
        #expect(
            book.join(key, seen: at(15), now: at(105), id: 12)
                == Convoy(id: 11, count: 2, isLead: false))
        // Seen later than that, or told of a day later: another one.
        #expect(book.join(key, seen: at(15.1), now: at(106), id: 13).isLead)
        #expect(book.join(key, seen: at(0), now: at(1_541), id: 14).isLead)
        let other = AlertBook.PartyKey(type: .overdue, place: 1, code: .arri, seenAt: 3)
        #expect(book.join(other, seen: at(0), now: at(106), id: 15).isLead)
        // A truck beside the train.
        var truck = key
        truck.mode = .road
        #expect(book.join(truck, seen: at(0), now: at(106), id: 16).isLead)
    }

    @Test func aSilenceMarksFromItsBeginningToItsEnd() throws {
        var silence = AlertSilence(id: "S", from: at(10), until: at(20))
        silence.types = [.overdue]
        let box = try #require(ContainerNumber("QZTU0000700"))
        func line(_ type: AlertType) -> AlertEvent {
            AlertEvent(
                time: at(0), alert: "a", rev: 1, state: .raised, type: type, severity: .info,
                container: box, shipment: nil, place: "ZAA", delayMinutes: 0, text: "")
        }
        #expect(!silence.marks(line(.overdue), at: at(9.9)))
        #expect(silence.marks(line(.overdue), at: at(10)))
        #expect(!silence.marks(line(.overdue), at: at(20)))
        #expect(!silence.marks(line(.late), at: at(15)))
        silence.places = ["ZBB"]
        #expect(!silence.marks(line(.overdue), at: at(15)))
        silence.places = ["ZAA"]
        #expect(silence.marks(line(.overdue), at: at(15)))
        silence.retract = true
        #expect(!silence.marks(line(.overdue), at: at(15)))
    }

    @Test func aSilenceIsOneAndHasVersions() {
        var book = AlertBook()
        var silence = AlertSilence(id: "S", from: at(0), until: at(10))
        silence.content = 1
        #expect(book.enact(silence, now: at(0), limit: 1) == .taken)
        #expect(book.enact(silence, now: at(0), limit: 1) == .known)
        silence.content = 2
        silence.updated = at(5)
        #expect(book.enact(silence, now: at(5), limit: 1) == .taken)
        silence.content = 3
        silence.updated = at(4)
        #expect(book.enact(silence, now: at(6), limit: 1) == .older)
        let other = AlertSilence(id: "T", from: at(0), until: at(10))
        #expect(book.enact(other, now: at(1), limit: 1) == .full)
        // One that is long over makes room.
        #expect(book.enact(other, now: at(10 + 1_440), limit: 1) == .taken)
    }

    @Test func whatEndsASilenceIsRememberedNoLonger() {
        var book = AlertBook()
        var silence = AlertSilence(id: "S", from: at(0), until: at(100))
        silence.content = 1
        #expect(book.enact(silence, now: at(0), limit: 9) == .taken)
        var end = AlertSilence(id: "S", from: .unset, until: .unset)
        end.retract = true
        end.updated = at(10)
        #expect(book.enact(end, now: at(10), limit: 9) == .taken)
        #expect(book.silences["S"]?.until == at(100))
        end.id = "T"
        #expect(book.enact(end, now: at(10), limit: 9) == .unknown)
        silence.id = "U"
        silence.until = at(9_000)
        #expect(book.enact(silence, now: at(100 + 1_440), limit: 9) == .taken)
        #expect(book.silences.keys.sorted() == ["U"])
    }

    @Test func whoComesAfterTheLeadHasEndedLeadsAnew() {
        var book = AlertBook()
        let key = AlertBook.PartyKey(type: .overdue, place: 1, code: .arri, seenAt: 2)
        let lead = book.join(key, seen: at(0), now: at(100), id: 11)
        book.dissolve(lead.id)
        #expect(book.join(key, seen: at(1), now: at(101), id: 12).isLead)
        #expect(book.parties.values.map(\.count) == [1])
    }

    @Test func aPartyThatIsDissolvedIsNotThoseBesideIt() {
        var book = AlertBook()
        let key = AlertBook.PartyKey(type: .overdue, place: 1, code: .arri, seenAt: 2)
        let (first, second) = (
            book.join(key, seen: at(0), now: at(100), id: 11),
            book.join(key, seen: at(60), now: at(100), id: 12)
        )
        #expect(first.isLead && second.isLead)
        book.dissolve(11)
        book.dissolve(11)
        #expect(
            book.join(key, seen: at(61), now: at(101), id: 13)
                == Convoy(id: 12, count: 2, isLead: false))
        // Read back, it knows where they are.
        var read = AlertBook()
        for (key, parties) in book.parties { for party in parties { read.add(party, to: key) } }
        #expect(read == book)
        read.dissolve(12)
        #expect(read.parties.isEmpty)
    }

    @Test func partiesThatNobodyJoinsAnyMoreAreForgotten() {
        var book = AlertBook()
        func key(_ place: UInt32) -> AlertBook.PartyKey {
            AlertBook.PartyKey(type: .overdue, place: place, code: .arri, seenAt: 2)
        }
        for place in 0..<1_000 as Range<UInt32> {
            _ = book.join(key(place), seen: at(0), now: at(0), id: UInt64(place) + 1)
        }
        for place in 1_000..<1_023 as Range<UInt32> {
            _ = book.join(key(place), seen: at(1_441), now: at(1_441), id: UInt64(place) + 1)
        }
        #expect(book.parties.count == 1_023)
        _ = book.join(key(1_023), seen: at(1_441), now: at(1_441), id: 1_024)
        #expect(book.parties.count == 24)
        // Where a party was forgotten another begins; one that is young is joined.
        #expect(book.join(key(3), seen: at(1_441), now: at(1_441), id: 2_000).isLead)
        #expect(!book.join(key(1_001), seen: at(1_441), now: at(1_441), id: 2_001).isLead)
    }

    // MARK: Seals

    @Test func sealsThatChangeUntoldAreFound() {
        func event(_ minutes: Double, _ code: EventCode, _ seals: UInt32) -> EventRecord {
            var event = EventRecord(
                identity: Identity(high: 0, low: UInt64(minutes)), content: 0, time: at(minutes),
                place: UInt32(minutes), code: code)
            event.seals = seals
            return event
        }
        #expect(SealTrail([event(0, .gtin, 1), event(9, .gtot, 1)]).changedAt == nil)
        let changed = SealTrail([event(0, .gtin, 1), event(5, .arri, 0), event(9, .gtot, 2)])
        #expect(changed.changedAt?.time == at(9) && changed.before?.time == at(0))
        // Somebody told of it, before, with it or behind it.
        #expect(
            SealTrail([event(0, .gtin, 1), event(5, .rmvd, 0), event(9, .gtot, 2)]).changedAt == nil
        )
        #expect(SealTrail([event(0, .gtin, 1), event(9, .rsea, 2)]).changedAt == nil)
        let told = SealTrail([event(0, .gtin, 1), event(9, .gtot, 2), event(10, .rsea, 2)])
        #expect(told.changedAt == nil && told.isExplained)
    }
}
