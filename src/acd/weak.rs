//! What a model's weakened twin may leave out, to show that it is needed.

/// One part of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The fence between showing a head and looking for an idle agent.
    ShowFence,
    /// The fence between letting an agent go idle and looking again.
    PlaceFence,
    /// The second look after letting an agent go idle.
    PlaceLook,
    /// Handing an agent over before ringing for it.
    HandBeforeBell,
    /// Binding by compare-and-swap.
    CommitSwap,
    /// Taking the bell's bits before reading the words.
    BellFirst,
    /// The look after a flag was cleared.
    ClearLook,
    /// The fence between clearing the own suspect bit and looking.
    ReviveFence,
    /// An arriving caller places the idle agent it found, and does not keep it for itself.
    ArrivalPlaces,
    /// Looking who is on the way into a line before looking at the lines.
    ArrivingFirst,
    /// The fence between opening a queue for helpers and looking at them.
    HelpFence,
    /// Taking the helpers when a queue opens for them.
    HelpLook,
    /// Pulling an agent out of a pending placement when its queues change.
    RosterTake,
    /// The fence between writing an agent's queues and taking the agent.
    RosterFence,
    /// Taking an agent by compare-and-swap.
    TakeSwap,
    /// Counting the changes of a word.
    Epoch,
    /// Leaving every queue when bound.
    LeaveAll,
    /// Head starts of queues.
    HeadStart,
    /// Counting a caller before comparing with the bound.
    AdmitFirst,
    /// Marking the bell before waking.
    MarkFirst,
    /// Marking who has become idle.
    IdleMark,
    /// Marking who has become idle before the fence and the look.
    IdleMarkFirst,
    /// Reading the word again after a bit without cause was taken away.
    IdleAgain,
    /// The look at who came idle while their bit was taken away.
    IdleOwes,
}
