"""Services of the mapper."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

from aceg_ros.errors import AcegError
from aceg_ros.recording.session import Session
from aceg_ros.ros.waiters import Waiters


class Services:
    """Passes calls on to the session."""

    def __init__(
        self,
        node: Node,
        session: Session,
        wanted: Sequence[Waiters],
        on_new_recording: Callable[[], None],
        timeout: Callable[[], float],
    ) -> None:
        """`wanted` has the calls of `add_keyframe` to each camera.

        `timeout`: seconds that they wait for an image with a pose.
        """
        self._wanted = wanted
        self._logger = node.get_logger()
        self._session = session
        self._on_new_recording = on_new_recording
        self._timeout = timeout
        self._offer(node, SetBool, 'record', lambda request: session.record(request.data))
        self._offer(node, SetBool, 'record_and_map', self._record_and_map)
        self._offer(node, Trigger, 'fit', lambda _: session.fit())
        self._offer(node, Trigger, 'cancel', lambda _: session.cancel())
        self._offer(node, Trigger, 'save', lambda _: session.save())
        self._offer(node, Trigger, 'reset', self._reset)
        node.create_service(
            Trigger,
            '~/add_keyframe',
            self._add_keyframe,
            callback_group=ReentrantCallbackGroup(),
        )

    def _offer(
        self,
        node: Node,
        kind: type[SetBool] | type[Trigger],
        name: str,
        action: Callable[[SetBool.Request | Trigger.Request], str],
    ) -> None:
        """Answer a service with what `action` says, or with why it cannot be done."""

        def answer(
            request: SetBool.Request | Trigger.Request,
            response: SetBool.Response | Trigger.Response,
        ) -> SetBool.Response | Trigger.Response:
            try:
                response.message = action(request)
                response.success = True
            except AcegError as error:
                response.message = str(error)
            self._note(name, response)
            return response

        node.create_service(kind, f'~/{name}', answer)

    def _record_and_map(self, request: SetBool.Request) -> str:
        words = self._session.record_and_map(request.data)
        if request.data:
            self._on_new_recording()
        return words

    def _reset(self, request: Trigger.Request) -> str:
        words = self._session.reset()
        self._on_new_recording()
        return words

    async def _add_keyframe(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        # Of all cameras at the same time.
        waits = [wanted.wait(self._timeout()) for wanted in self._wanted]
        answers = [await wait for wait in waits]
        response.success = any(success for success, _ in answers)
        response.message = '; '.join(words for _, words in answers)
        self._note('add_keyframe', response)
        return response

    def _note(self, name: str, response: SetBool.Response | Trigger.Response) -> None:
        words = f'~/{name}: {response.message}'
        # rclpy allows one severity for each place in the code.
        if response.success:
            self._logger.info(words)
        else:
            self._logger.warning(words)
