"""Arrays in messages, read back by independent means."""

from __future__ import annotations

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, PoseStamped, PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, PointCloud2, PointField
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from aceg_ros.datasets.camera_info import camera_from_info
from aceg_ros.errors import PoseError
from aceg_ros.geometry.cameras import Camera, intrinsic_matrix
from aceg_ros.ros.messages import (
    camera_info,
    frusta,
    path,
    point_cloud,
    points_from_cloud,
    pose_from_message,
    pose_message,
    pose_of,
    pose_stamped,
    pose_with_covariance,
    poses_from_frusta,
    to_seconds,
    to_stamp,
    transform_from_message,
    transform_message,
)

HEADER = Header(frame_id='map', stamp=Time(sec=5, nanosec=6))
POSE = np.eye(4)
POSE[:3, :3] = Rotation.from_euler('xyz', [20, -50, 130], degrees=True).as_matrix()
POSE[:3, 3] = [1.0, -2.0, 3.0]


class TestStamps:
    def test_both_ways(self):
        stamp = Time(sec=1403638538, nanosec=577829376)
        assert to_seconds(stamp) == pytest.approx(1403638538.577829376, abs=3e-7)
        back = to_stamp(to_seconds(stamp))
        assert back.sec == stamp.sec
        assert abs(back.nanosec - stamp.nanosec) < 300

    def test_rounding_to_the_next_second(self):
        assert to_stamp(1.9999999999) == Time(sec=2, nanosec=0)


class TestPoses:
    def test_pose(self):
        message = pose_message(POSE)
        q = message.orientation
        rotation = Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix()
        np.testing.assert_allclose(rotation, POSE[:3, :3], atol=1e-12)
        assert [message.position.x, message.position.y, message.position.z] == [1.0, -2.0, 3.0]
        np.testing.assert_allclose(pose_from_message(message), POSE, atol=1e-12)

    def test_transform(self):
        message = transform_message(POSE)
        assert message.translation.y == -2.0
        np.testing.assert_allclose(transform_from_message(message), POSE, atol=1e-12)

    def test_covariance_is_row_major(self):
        covariance = np.arange(36.0).reshape(6, 6)
        message = pose_with_covariance(HEADER, POSE, covariance)
        assert message.header.frame_id == 'map'
        assert message.pose.covariance[6 * 1 + 4] == covariance[1, 4]
        np.testing.assert_allclose(pose_of(message), POSE, atol=1e-12)

    @pytest.mark.parametrize('kind', [PoseStamped, PoseWithCovarianceStamped, Odometry])
    def test_pose_of_any(self, kind):
        message = kind()
        inner = message.pose if kind is PoseStamped else message.pose.pose
        inner.position.x, inner.orientation.w = 4.0, 1.0
        assert pose_of(message)[0, 3] == 4.0

    def test_rotation_nobody_filled(self):
        message = Pose()
        message.orientation.w = 0.0
        with pytest.raises(PoseError):
            pose_from_message(message)

    def test_not_finite(self):
        message = pose_message(POSE)
        message.position.z = float('nan')
        with pytest.raises(PoseError):
            pose_from_message(message)

    def test_path(self):
        stamps = [Time(sec=1), Time(sec=2)]
        message = path(HEADER, [(stamp, POSE) for stamp in stamps])
        assert [pose.header.stamp for pose in message.poses] == stamps
        assert {pose.header.frame_id for pose in message.poses} == {'map'}
        assert message.poses[1] == pose_stamped(message.poses[1].header, POSE)


class TestPointCloud:
    POINTS = np.array([[1.0, 2.0, 3.0], [-4.0, 5.0, 6.5]])

    def fields(self, cloud):
        """Columns of a cloud, as a viewer reads them."""
        sizes = {PointField.FLOAT32: '<f4'}
        layout = {
            'names': [field.name for field in cloud.fields],
            'formats': [sizes[field.datatype] for field in cloud.fields],
            'offsets': [field.offset for field in cloud.fields],
            'itemsize': cloud.point_step,
        }
        assert cloud.row_step == cloud.point_step * cloud.width == len(cloud.data)
        return np.frombuffer(cloud.data, np.dtype(layout))

    def test_points(self):
        table = self.fields(point_cloud(HEADER, self.POINTS))
        np.testing.assert_array_equal(np.stack([table[k] for k in 'xyz'], 1), self.POINTS)
        assert table.dtype.names == ('x', 'y', 'z')

    def test_colors(self):
        colors = np.array([[255, 128, 3], [0, 1, 2]], dtype=np.uint8)
        table = self.fields(point_cloud(HEADER, self.POINTS, colors))
        assert table['rgb'].copy().view('<u4').tolist() == [0xFF8003, 0x000102]
        np.testing.assert_array_equal(table['z'], [3.0, 6.5])

    def test_empty(self):
        cloud = point_cloud(HEADER, np.zeros((0, 3)), np.zeros((0, 3), np.uint8))
        assert cloud.width == len(cloud.data) == 0

    def test_back_again(self):
        colors = np.array([[255, 128, 3], [0, 1, 2]], dtype=np.uint8)
        points, back = points_from_cloud(point_cloud(HEADER, self.POINTS, colors))
        np.testing.assert_array_equal(points, self.POINTS)
        np.testing.assert_array_equal(back, colors)

    def test_clouds_of_another_form_have_no_points(self):
        cloud = point_cloud(HEADER, self.POINTS, np.zeros((2, 3), np.uint8))
        cloud.width = 1000
        for other in (cloud, point_cloud(HEADER, self.POINTS), PointCloud2()):
            points, colors = points_from_cloud(other)
            assert points.shape == colors.shape == (0, 3)

    def test_unknown_points(self):
        assert point_cloud(HEADER, self.POINTS).is_dense
        assert not point_cloud(HEADER, self.POINTS * np.nan).is_dense


class TestFrusta:
    def test_outline_opens_along_the_view(self):
        (marker,) = frusta(HEADER, [POSE, np.eye(4)], size=0.5).markers
        assert (marker.type, marker.header.frame_id) == (Marker.LINE_LIST, 'map')
        points = np.array([[p.x, p.y, p.z] for p in marker.points])
        assert points.shape == (2 * 16, 3)
        in_camera = (points[:16] - POSE[:3, 3]) @ POSE[:3, :3]
        assert set(np.round(in_camera[:, 2], 9)) == {0.0, 0.5}

    def test_back_again(self):
        poses = [POSE, np.eye(4)]
        np.testing.assert_allclose(poses_from_frusta(frusta(HEADER, poses, 0.3)), poses, atol=1e-9)

    def test_other_markers_have_no_poses(self):
        marker = Marker(action=Marker.ADD, points=[Point()] * 7)
        flat = Marker(action=Marker.ADD, points=[Point()] * 16)
        for markers in ([marker], [flat], [], frusta(HEADER, []).markers):
            assert poses_from_frusta(MarkerArray(markers=markers)).shape == (0, 4, 4)

    def test_none_left(self):
        assert frusta(HEADER, []).markers[0].action == Marker.DELETE


class TestCameraInfo:
    @pytest.mark.parametrize(
        ('model', 'distortion'),
        [
            ('pinhole', []),
            ('plumb_bob', [0.1, -0.05, 0.001, 0.002, 0.01]),
            ('rational_polynomial', [0.1, -0.05, 0.001, 0.002, 0.01, 0.02, 0.03, 0.001]),
            ('equidistant', [0.1, 0.01, -0.02, 0.003]),
        ],
    )
    def test_both_ways(self, model, distortion):
        K = intrinsic_matrix(310.0, 312.0, 158.0, 122.0)
        camera = Camera(model, 320, 240, K, distortion)
        back = camera_from_info(camera_info(HEADER, camera), False, 320, 240)
        points = np.array([[0.1, 0.2, 1.0], [-0.4, 0.1, 1.5]])
        np.testing.assert_allclose(back.project(points), camera.project(points), atol=1e-9)

    def test_rectified_has_no_distortion(self):
        K = intrinsic_matrix(310.0, 312.0, 158.0, 122.0)
        camera = Camera('plumb_bob', 320, 240, K, [0.1, -0.05, 0.001, 0.002, 0.01])
        rectified = camera_from_info(camera_info(HEADER, camera), True, 320, 240)
        assert rectified == Camera('pinhole', 320, 240, K)

    def test_message_as_a_driver_sends_it(self):
        """Half the sensor's lines, binned by two, published at half that size."""
        info = CameraInfo(width=1280, height=960, distortion_model='plumb_bob')
        info.d = [0.0] * 5
        info.k = [1000.0, 0.0, 639.5, 0.0, 1000.0, 479.5, 0.0, 0.0, 1.0]
        info.roi.y_offset, info.roi.width, info.roi.height = 240, 1280, 480
        info.binning_x = info.binning_y = 2
        camera = camera_from_info(info, False, 320, 120)
        np.testing.assert_allclose(camera.K[[0, 1], [0, 1]], 250.0)
        # The optical axis stays in the middle.
        np.testing.assert_allclose(camera.K[:2, 2], [159.5, 59.5])
